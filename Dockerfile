# windrow and the HDF5 library that it needs, nothing else. A simulator with a command of its own needs an image made from this
# one: see docs/DOCKER.md.
FROM golang:1.26-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends libhdf5-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# Only what is compiled: a spec that changes leaves the image alone.
COPY main.go ./
COPY internal internal
COPY merger merger
COPY producer producer
COPY worker worker
RUN CGO_ENABLED=1 go build -trimpath -ldflags=-s -o /windrow . \
 && CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /windrow-plot ./internal/picture/windrow-plot

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libhdf5-103-1 libhdf5-hl-100 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /windrow /windrow-plot /usr/local/bin/
USER 1000:1000
WORKDIR /campaign
ENTRYPOINT ["windrow"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["windrow", "health"]
