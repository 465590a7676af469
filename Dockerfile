# tal in a container. Targets:
#   cpu          the pipeline on a CPU; a small image with  --build-arg TORCH_INDEX=<index of CPU-only PyTorch wheels>
#   gpu          the same on an NVIDIA GPU: CUDA comes with PyTorch's wheels, the host only needs its driver
#   opencv-cuda  gpu, with an OpenCV that has CUDA's TV-L1, built from its source package (hours; see opencv-wheel)
#
#   docker build --target cpu -t tal .
#   docker run --rm -v "$PWD:/data" -v tal-cache:/cache tal run videos/ --labels labels.csv

# What all images share. Whatever user runs it may write to both folders, and /cache is the home of all of them.
FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && useradd --no-create-home --home-dir /cache --uid 1000 tal \
    && install -d -m 1777 -o tal -g tal /data /cache
ENV PATH=/opt/tal/bin:/opt/venv/bin:$PATH HOME=/cache USER=tal TAL_CACHE=/cache PYTHONUNBUFFERED=1
VOLUME ["/data", "/cache"]
WORKDIR /data
HEALTHCHECK --interval=30m --timeout=2m --start-period=2m CMD ["tal", "doctor"]
ENTRYPOINT ["tal"]
CMD ["--help"]

# What installs the rest. Only /opt/venv and /opt/tal leave these stages.
FROM base AS tools
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/build
COPY constraints.txt ./
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --no-cache-dir -c constraints.txt uv
RUN python3 -m venv --without-pip /opt/venv
ENV PATH=/opt/tools/bin:$PATH VIRTUAL_ENV=/opt/venv

# Dependencies do not know the code, so these layers are kept when it changes.
FROM tools AS cpu-dependencies
COPY docker/dependencies docker/trim docker/
COPY pyproject.toml ./
ARG TORCH_INDEX=""
ARG EXTRAS="s3,ray"
RUN docker/dependencies "$EXTRAS" "$TORCH_INDEX" && docker/trim

FROM tools AS gpu-dependencies
COPY docker/dependencies docker/trim docker/
COPY pyproject.toml ./
ARG EXTRAS="s3,ray"
RUN docker/dependencies "$EXTRAS" && docker/trim

FROM tools AS package
COPY . .
RUN uv pip install --no-cache --no-deps --python /opt/venv/bin/python --target /opt/tal --compile-bytecode .

# OpenCV's wheel: one that lies in docker/wheels, or built.
#   docker build --target opencv-wheel --output docker/wheels .
FROM tools AS opencv-build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make python3-dev \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY docker/opencv-cuda docker/
COPY docker/wheels docker/wheels
ARG CUDA_ARCHS="7.5;8.0;8.6;8.9;9.0;10.0;12.0"
RUN docker/opencv-cuda "$CUDA_ARCHS"

FROM scratch AS opencv-wheel
COPY --from=opencv-build /wheels /

FROM base AS cpu
COPY --from=cpu-dependencies /opt/venv /opt/venv
COPY --from=package /opt/tal /opt/tal
USER tal

FROM base AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=gpu-dependencies /opt/venv /opt/venv
COPY --from=package /opt/tal /opt/tal
USER tal

# Above gpu, whose layers it shares. What lies in /opt/opencv comes before what lies in /opt/venv.
FROM gpu AS opencv-cuda
USER root
COPY --from=opencv-build /opt/opencv /opt/opencv
ENV PYTHONPATH=/opt/opencv
RUN find /opt/venv/lib /opt/opencv -path '*/nvidia/cu13/lib' > /etc/ld.so.conf.d/tal.conf && ldconfig
USER tal
