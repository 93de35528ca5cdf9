# wire in a container, as a user:
#   docker run --rm -it --device /dev/fuse --cap-add SYS_ADMIN -v wire:/home/wire IMAGE mount --profile lab
# docs/SYSTEMS.md says what each flag is for.

FROM node:24.21.0-bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY . .
RUN npm pack --pack-destination /tmp && mv /tmp/wire-mount-*.tgz /tmp/wire.tgz

FROM node:24.21.0-bookworm-slim AS product
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates fuse3 \
    && rm -rf /var/lib/apt/lists/* \
    && echo user_allow_other >> /etc/fuse.conf \
    && useradd --create-home --uid 10001 wire
COPY --from=build /tmp/wire.tgz /tmp/wire.tgz
RUN npm install --global --no-audit --no-fund --omit=dev --ignore-scripts /tmp/wire.tgz
USER wire
WORKDIR /home/wire
STOPSIGNAL SIGTERM
ENTRYPOINT ["wire"]
CMD ["--help"]
