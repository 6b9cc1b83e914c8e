# Writes relevance.json beside this file: relevance as UBL has it (github.com/paobranco/UBL, commit
# 9ad4378; R/phiFunc.R, R/CallFPhi.R and src/phi.f90), box plots as R and robustbase have them.
# By hand, in an environment of its own, which needs nothing of this repository: R 4.2.2, jsonlite
# 1.8.4, robustbase 0.95-0 (its mc and adjboxStats).
#
#     (cd UBL/src && R CMD SHLIB -o phi.so phi.f90)
#     Rscript tests/testdata/make_relevance_fixtures.R UBL tests/testdata/relevance.json

arguments <- commandArgs(trailingOnly = TRUE)
dyn.load(file.path(arguments[1], 'src', 'phi.so'))
for (name in c('phiFunc', 'CallFPhi')) source(file.path(arguments[1], 'R', paste0(name, '.R')))

set.seed(3)
laws <- list(
  high = 1 + rexp(50, 1 / 2),
  low = 10 - rexp(41, 1 / 2),
  both = rt(60, 2),
  ties = round(rexp(60, 1 / 2)),
  uniform = runif(40, 1, 10)
)
boxes <- list()
for (name in names(laws)) {
  y <- laws[[name]]
  found <- list(targets = y, medcouple = robustbase::mc(y))
  for (kind in c('plain', 'adjusted')) {
    box <- if (kind == 'plain') boxplot.stats(y) else robustbase::adjboxStats(y)
    found[[kind]] <- list(median = box$stats[3], lower = box$stats[1], upper = box$stats[5],
                          below = any(box$out < box$stats[1]), above = any(box$out > box$stats[5]))
  }
  for (sides in c('both', 'low', 'high')) {
    found[[paste0('relevance_', sides)]] <- phi(y, phi.control(y, 'extremes', sides))
  }
  boxes[[name]] <- found
}

points <- list(
  rising = cbind(c(1, 4, 10), c(0, 0.2, 1)),
  steep = cbind(c(0, 1, 1.1, 2, 7), c(0, 0.05, 0.9, 0.95, 1)),
  level = cbind(c(1, 2, 5, 8), c(0, 0.6, 0.6, 1)),
  valley = cbind(c(1, 5, 9), c(1, 0, 1)),
  turning = cbind(c(1, 5, 10), c(1, 0, 1)),
  peaks = cbind(c(1, 2, 3, 6, 8), c(0, 1, 0.3, 1, 0.2))
)
at <- seq(-1, 12, length.out = 53)
by_hand <- lapply(points, function(given) {
  list(points = given, at = at, relevance = phi(at, phi.control(at, 'range', control.pts = given)))
})
text <- jsonlite::toJSON(list(boxes = boxes, by_hand = by_hand), digits = NA, auto_unbox = TRUE)
writeLines(text, arguments[2])
