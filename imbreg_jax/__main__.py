"""`python -m imbreg_jax`, where the script `imbreg-jax` is not on the path; see `console`."""

import sys

from imbreg_jax import console

sys.exit(console.main())
