# Writes themis.json beside this file: what themis, another package that has SMOGN, makes of the
# rows of ubl.json. By hand, in an environment of its own: R 4.2.2, jsonlite 1.8.4, and the sources
# of themis (github.com/tidymodels/themis, commit 074391e), of which only what SMOGN calls is read,
# so that packages that themis needs elsewhere need not be there.
#
#     Rscript tests/testdata/make_themis_fixtures.R THEMIS tests/testdata

arguments <- commandArgs(trailingOnly = TRUE)
# Names without their package, so that what is drawn can be seen.
for (name in c('misc', 'smogn_impl')) {
  text <- readLines(file.path(arguments[1], 'R', paste0(name, '.R')))
  eval(parse(text = gsub('stats::', '', text, fixed = TRUE)))
}

# The package's functions see these in the place of R's, and leave what they drew.
drawn <- list()
forget <- function() drawn <<- list(seeds = c(), picks = c(), ways = c(), sizes = c(), scores = c())
sample <- function(x) drawn$seeds <<- base::sample(x)
sample.int <- function(n, size) {
  found <- base::sample.int(n, size)
  if (size == 1) {
    drawn$picks <<- c(drawn$picks, found)
    drawn$ways <<- c(drawn$ways, NA)  # until one is drawn for it
  }
  found
}
runif <- function(n) {
  found <- stats::runif(n)
  drawn$ways[length(drawn$ways)] <<- found
  found
}
# Of the targets' noise alone, which is drawn one by one: its standard deviation, and how many.
rnorm <- function(n, mean, sd) {
  score <- stats::rnorm(n)
  if (n == 1) {
    drawn$sizes <<- c(drawn$sizes, sd)
    drawn$scores <<- c(drawn$scores, score)
  }
  mean + score * sd
}
# Each group that grows leaves its rows, and what was drawn and made.
generate <- smogn_generate
smogn_generate <- function(x, y, n_generate, k, perturbation, distance) {
  forget()
  made <- generate(x, y, n_generate, k, perturbation, distance)
  grown[[length(grown) + 1]] <<- c(drawn, list(
    members = match(y, data$y) - 1, rows = unname(cbind(made$x, made$y))))
  made
}

set.seed(11)
sets <- jsonlite::fromJSON(file.path(arguments[2], 'ubl.json'))
points <- cbind(c(1, 4, 10), c(0, 0, 1))
cases <- list()
for (name in names(sets)) {
  data <- as.data.frame(sets[[name]]$rows)
  names(data) <- c('a', 'b', 'c', 'y')
  relevance <- if (name == 'given') points
  runs <- list()
  for (perturbation in c(0.02, 0.3)) {
    grown <- list()
    made <- smogn_impl(data, 'y', relevance = relevance, perturbation = perturbation)
    kept <- match(made$y, data$y)
    runs[[length(runs) + 1]] <- list(
      perturbation = perturbation, groups = grown, kept = kept[!is.na(kept)] - 1)
  }
  cases[[name]] <- list(relevance = smogn_relevance(data$y, relevance), runs = runs)
}

# A group of four, of which none has five neighbours; and targets that are spread evenly.
data <- data.frame(a = stats::rnorm(40), b = stats::rnorm(40), y = c(1:36 / 10, 8:11))
grown <- list()
small <- smogn_impl(data, 'y', relevance = cbind(c(1, 4, 8), c(0, 0, 1)))
even <- stats::runif(41, 1, 10)
# Relevance by hand; beyond its points too.
at <- seq(-1, 12, length.out = 53)
given <- list(
  rising = cbind(c(1, 4, 10), c(0, 0.2, 1)),
  valley = cbind(c(1, 5, 9), c(1, 0, 1)),
  turning = cbind(c(1, 5, 10), c(1, 0, 1)),
  two = cbind(c(2, 8), c(0, 1)),
  within = cbind(c(2, 8), c(0.3, 0.6))
)
found <- list(
  cases = cases,
  small = list(rows = unname(as.matrix(data)), groups = grown),
  even = list(targets = even, relevance = smogn_relevance(even)),
  by_hand = lapply(given, function(points) {
    list(points = points, at = at, relevance = smogn_relevance(at, points))
  })
)
jsonlite::write_json(found, file.path(arguments[2], 'themis.json'), digits = NA,
                     auto_unbox = TRUE, na = 'null')
