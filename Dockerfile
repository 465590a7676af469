# The pipeline on a CPU (the PyTorch wheels bring CUDA along; with a GPU driver on the host it is used).
#   docker build -t tal .
#   docker run --rm -v "$PWD:/data" tal run videos/ --labels labels.csv
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Dependencies first: they change seldom, so this layer is kept.
WORKDIR /opt/tal
COPY pyproject.toml constraints.txt README.md ./
ARG TORCH_INDEX=""
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt uv \
    && mkdir tal extract cli configs benchmarks && touch tal/__init__.py extract/__init__.py cli/__init__.py \
    && if [ -n "$TORCH_INDEX" ]; then /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python \
         --index-url "$TORCH_INDEX" torch==2.13.0 torchvision==0.28.0; fi \
    && /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python -c constraints.txt . \
    && /opt/venv/bin/uv pip uninstall --python /opt/venv/bin/python tal

COPY . .
RUN /opt/venv/bin/uv pip install --no-cache --no-deps --python /opt/venv/bin/python .

RUN useradd --create-home --uid 1000 tal && mkdir -p /data /cache && chown tal:tal /data /cache
USER tal
ENV PATH=/opt/venv/bin:$PATH TAL_CACHE=/cache PYTHONUNBUFFERED=1
VOLUME ["/data", "/cache"]
WORKDIR /data
ENTRYPOINT ["tal"]
CMD ["--help"]
