# Writes ubl.json beside this file: what UBL, the package of the methods' authors, makes of small
# sets. By hand, in an environment of its own, which needs nothing of this repository: R 4.2.2,
# jsonlite 1.8.4, and the sources of UBL (github.com/paobranco/UBL, commit 9ad4378), of which only
# the files for regression are read, so that packages that UBL needs elsewhere need not be there.
#
#     (cd UBL/src && R CMD SHLIB -o UBL.so neighbours.f90 phi.f90 UBL_init.c)
#     Rscript tests/testdata/make_ubl_fixtures.R UBL tests/testdata/ubl.json

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
dyn.load(file.path(folder, 'src', 'UBL.so'))
files <- c('phiFunc', 'CallFPhi', 'Neighbours', 'Distances', 'randOverRegress', 'randUnderRegress',
           'ImpSampRegress', 'gaussNoiseRegress', 'smoteRegress', 'smognRegress', 'ReBaggRegress')
for (name in files) source(file.path(folder, 'R', paste0(name, '.R')))

# The package's functions see these in the place of R's, and leave what they drew.
drawn <- list(picks = c(), shares = c(), seeds = list())
sample <- function(x, size, ...) {
  found <- base::sample(x, size, ...)
  if (length(x) == 5 && size == 1) {
    drawn$picks <<- c(drawn$picks, found)
    drawn$shares <<- c(drawn$shares, NA)  # until a share is drawn for it
  } else {
    drawn$seeds <<- c(drawn$seeds, list(found))
  }
  found
}
runif <- function(n, ...) {
  found <- stats::runif(n, ...)
  drawn$shares[length(drawn$shares)] <<- found
  found
}
forget <- function() drawn <<- list(picks = c(), shares = c(), seeds = list())

set.seed(7)
count <- 80
frame <- function(y, clumped = FALSE) {
  x <- matrix(rnorm(3 * count), count)
  # Clumps, so that some neighbours are near and some are not.
  if (clumped) x <- x * 0.15 + 3 * matrix(sample(c(-1, 1), 3 * count, replace = TRUE), count)
  data.frame(a = x[, 1], b = x[, 2], c = x[, 3], y = y)
}
sets <- list(
  high = list(data = frame(1 + rexp(count, 1 / 2), TRUE), rel = 'auto'),
  both = list(data = frame(rt(count, 2)), rel = 'auto'),
  given = list(data = frame(runif(count, 1, 10), TRUE),
               rel = matrix(c(1, 4, 10, 0, 0, 1, 0, 0, 0), 3))
)

# How many rows of each bump a set has: rows are put where their target lies.
sizes <- function(made, cuts) as.numeric(table(cut(made$y, c(-Inf, cuts, Inf))))

cases <- list()
for (name in names(sets)) {
  data <- sets[[name]]$data
  rel <- sets[[name]]$rel
  control <- if (is.matrix(rel)) phi.control(data$y, method = 'range', control.pts = rel) else
    phi.control(data$y, method = 'extremes')
  order <- sort(data$y)
  relevance <- phi(order, control)
  change <- which(diff(relevance >= 0.5) != 0)
  cuts <- (order[change] + order[change + 1]) / 2
  bump <- cut(data$y, c(-Inf, cuts, Inf), labels = FALSE)
  # Copies of what is there keep their targets, so that they can be counted.
  made <- list(
    over = RandOverRegress(y ~ ., data, rel = rel),
    under = RandUnderRegress(y ~ ., data, rel = rel),
    wercs_balance = WERCSRegress(y ~ ., data, rel = rel, thr.rel = 0.5)
  )
  forget()
  smote <- SmoteRegress(y ~ ., data, rel = rel)
  smote_drawn <- drawn
  forget()
  smogn <- SMOGNRegress(y ~ ., data, rel = rel)
  smogn_drawn <- drawn
  noisy <- GaussNoiseRegress(y ~ ., data, rel = rel)
  extreme <- list(
    smote = nrow(SmoteRegress(y ~ ., data, rel = rel, C.perc = 'extreme')),
    noise = nrow(GaussNoiseRegress(y ~ ., data, rel = rel, C.perc = 'extreme'))
  )
  # How often each image occurs in the mean. Without a relevance of 1 the package fails.
  wercs <- NULL
  if (any(phi(data$y, control) == 1)) {
    tagged <- data.frame(tag = seq_len(count), y = data$y)
    times <- matrix(0, count, 2)
    for (i in 1:4000) {
      many <- tabulate(WERCSRegress(y ~ ., tagged, rel = rel)$tag, count)
      times <- times + cbind(many, many^2)
    }
    mean <- times[, 1] / 4000
    wercs <- list(mean = mean, error = sqrt((times[, 2] / 4000 - mean^2) / 4000))
  } else {
    stopifnot(inherits(try(WERCSRegress(y ~ ., data, rel = rel), silent = TRUE), 'try-error'))
  }
  goal <- round(count / (length(cuts) + 1)) / table(bump)
  # Each bump that grows, by itself: neighbours, distances, and what was made in it in order.
  groups <- list()
  for (place in which(goal > 1)) {
    members <- which(bump == place)
    # In the order in which the package has them, of rising targets.
    members <- members[order(data$y[members])]
    part <- data[members, ]
    near <- neighbours(4, part, 'Euclidean', 2, 5)
    far <- distances(4, part, 'Euclidean', 2)
    one <- function(how) {
      forget()
      made <- if (how == 'smote') Smote.exsRegress(part, 4, goal[[place]], 5, 'Euclidean', 2) else
        SMOGNRegress.exs(data, rownames(part), 4, goal[[place]], 5, 'Euclidean', 2, 0.01)
      whole <- as.integer(goal[[place]] - 1)
      list(rows = as.matrix(made), picks = drawn$picks, shares = drawn$shares,
           seeds = c(rep(seq_along(members), each = whole), drawn$seeds[[1]]))
    }
    groups[[length(groups) + 1]] <- list(
      members = members - 1, near = near - 1, distances = far,
      median = apply(far, 1, median), smote = one('smote'), smogn = one('smogn'))
  }
  phis <- phi(data$y, control)
  cases[[name]] <- list(
    rows = as.matrix(data), control = matrix(control$control.pts, ncol = 3, byrow = TRUE),
    relevance = phis, wercs = wercs, bump = bump - 1, counts = as.numeric(table(bump)),
    sizes = lapply(made, sizes, cuts), whole = c(list(smote = nrow(smote), smogn = nrow(smogn),
    noise = nrow(noisy)), extreme), groups = groups)
}
# Bagging gives the training sets that it made in the place of what learners made of them. In a loop
# of its own, so that what is above draws what it drew before there was bagging.
BagModel <- function(form, train, baseModels, ...) baseModels
for (name in names(sets)) {
  data <- sets[[name]]$data
  rare <- which(cases[[name]]$relevance >= 0.5)
  bags <- function(method, models) ReBaggRegress(
    y ~ ., data, rel = sets[[name]]$rel, thr.rel = 0.5, learner = function(form, data) data,
    learner.pars = list(), nmodels = models, samp.method = method)
  # In each: rare rows, normal ones, and mixtures, which have targets that no row has.
  count_of <- function(bag) {
    place <- match(bag$y, data$y)
    c(sum(place %in% rare), sum(!is.na(place) & !(place %in% rare)), sum(is.na(place)))
  }
  found <- list()
  for (method in c('balance', 'variation', 'balanceSMT', 'variationSMT'))
    found[[method]] <- unique(t(sapply(bags(method, 60), count_of)))
  times <- sapply(bags('variation', 4000), function(bag) tabulate(match(bag$y, data$y), count))
  # Mixtures of all rare rows together, in the order of their targets.
  members <- rare[order(data$y[rare])]
  part <- data[members, ]
  goal <- round(count / 2) / length(members)
  forget()
  made <- Smote.exsRegress(part, 4, goal, 5, 'HEOM', 2)
  found$mean <- rowMeans(times)
  found$error <- apply(times, 1, sd) / sqrt(4000)
  found$group <- list(
    members = members - 1, near = neighbours(4, part, 'HEOM', 2, 5) - 1,
    distances = distances(4, part, 'HEOM', 2),
    median = apply(distances(4, part, 'HEOM', 2), 1, median),
    smote = list(rows = as.matrix(made), picks = drawn$picks, shares = drawn$shares,
                 seeds = c(rep(seq_along(members), each = as.integer(goal - 1)), drawn$seeds[[1]])))
  cases[[name]]$rebagg <- found
}
jsonlite::write_json(cases, arguments[2], digits = NA, auto_unbox = TRUE, na = 'null')
