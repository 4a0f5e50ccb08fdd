# mirnet for CPUs: docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/photos" mirnet denoise photo.jpg
FROM python:3.12-slim AS build
# docker build --build-arg EXTRAS=heif,raw … adds what reads HEIC and camera RAW.
ARG EXTRAS=
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY man man
COPY weights weights
COPY mirnet_cli mirnet_cli
RUN python -m venv /opt/mirnet \
    && /opt/mirnet/bin/pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}" \
    && touch /opt/mirnet/.mirnet-image

FROM python:3.12-slim
COPY --from=build /opt/mirnet /opt/mirnet
# Any user may run it: what is cached goes where all may write.
ENV PATH=/opt/mirnet/bin:$PATH MIRNET_CACHE=/tmp/mirnet HF_HOME=/tmp/huggingface
WORKDIR /photos
USER 65534
ENTRYPOINT ["mirnet"]
CMD ["--help"]
