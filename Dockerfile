# tal in a container. Targets:
#   cpu          the pipeline on a CPU; a small image with  --build-arg TORCH_INDEX=<index of CPU-only PyTorch wheels>
#   gpu          the same on an NVIDIA GPU: CUDA comes with PyTorch's wheels, the host only needs its driver
#   opencv-cuda  gpu, with an OpenCV that has CUDA's TV-L1, built from its source package (an hour or more)
#
#   docker build --target cpu -t tal .
#   docker run --rm -v "$PWD:/data" -v tal-cache:/cache tal run videos/ --labels labels.csv

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 tal \
    && mkdir -p /data /cache && chown tal:tal /data /cache
WORKDIR /opt/tal
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 TAL_CACHE=/cache
COPY constraints.txt ./
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt uv
COPY docker/dependencies docker/
COPY pyproject.toml ./
# An empty one, so that a change of its text invalidates no layer below.
RUN touch README.md
VOLUME ["/data", "/cache"]
HEALTHCHECK --interval=5m --timeout=60s CMD ["tal", "doctor"]
ENTRYPOINT ["tal"]
CMD ["--help"]

# Dependencies first: they change seldom, so these layers are kept.
FROM base AS cpu-dependencies
ARG TORCH_INDEX=""
ARG EXTRAS="s3,ray"
RUN docker/dependencies "$EXTRAS" "$TORCH_INDEX"

FROM base AS gpu-dependencies
ARG EXTRAS="s3,ray"
RUN docker/dependencies "$EXTRAS"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

FROM base AS opencv-build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make python3-dev \
    && rm -rf /var/lib/apt/lists/*
COPY docker/opencv-cuda docker/
ARG CUDA_ARCHS="7.5;8.0;8.6;8.9;9.0;10.0;12.0"
RUN docker/opencv-cuda "$CUDA_ARCHS"

FROM gpu-dependencies AS opencv-cuda-dependencies
COPY --from=opencv-build /wheels /wheels
RUN uv pip install --no-cache --no-deps --reinstall --python /opt/venv/bin/python /wheels/*.whl
RUN find /opt/venv/lib -path '*/nvidia/cu13/lib' > /etc/ld.so.conf.d/tal.conf \
    && uv pip install --no-cache --python /opt/venv/bin/python "cuda-toolkit[npp]==13.0.2" && ldconfig

FROM cpu-dependencies AS cpu
COPY . .
RUN uv pip install --no-cache --no-deps --python /opt/venv/bin/python .
WORKDIR /data
USER tal

FROM opencv-cuda-dependencies AS opencv-cuda
COPY . .
RUN uv pip install --no-cache --no-deps --python /opt/venv/bin/python .
WORKDIR /data
USER tal

FROM gpu-dependencies AS gpu
COPY . .
RUN uv pip install --no-cache --no-deps --python /opt/venv/bin/python .
WORKDIR /data
USER tal
