# The package and what requirements.lock names, for one command, imbreg-jax.
#
#   docker build -t imbreg-jax .
#   docker build -t imbreg-jax:cuda --build-arg ACCELERATOR=cuda .
#   docker run --rm -v "$PWD/workdirs:/study" imbreg-jax train paper
FROM python:3.11-slim

# cpu, cuda (CUDA 13), cuda12 or tpu; their libraries come with JAX.
ARG ACCELERATOR=cpu

WORKDIR /opt/imbreg_jax
COPY pyproject.toml setup.py requirements.lock README.md LICENSE MANIFEST.in ./
COPY imbreg_jax imbreg_jax
COPY configs configs
RUN case "$ACCELERATOR" in cpu) extra= ;; *) extra="[$ACCELERATOR]" ;; esac \
 && pip install --no-cache-dir -c requirements.lock ".$extra" \
 && useradd --uid 1000 --create-home researcher \
 && install -d -o researcher /study

# Workdirs and compiled programs are on the volume that is mounted here.
USER 1000:1000
WORKDIR /study
ENV XDG_CACHE_HOME=/study/.cache
ENTRYPOINT ["imbreg-jax"]
CMD ["--help"]
