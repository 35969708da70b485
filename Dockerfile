# The image holds one static binary and nothing else: no shell, no libraries.
# It needs NET_ADMIN, NET_BIND_SERVICE and /dev/net/tun, and is never run
# privileged: see docker-compose.yml. To build without a network, see
# deploy/prebuilt.Dockerfile.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# That of the checkout, unless --build-arg VERSION says another.
ARG VERSION=
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath \
      -ldflags "-s -w -X main.version=${VERSION:-$(deploy/image-version)}" -o /out/adit ./cmd/adit

FROM scratch
COPY --from=build /out/adit /usr/local/bin/adit
ENV PATH=/usr/local/bin
EXPOSE 500/udp 4500/udp
VOLUME /var/lib/adit
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["adit", "status"]
ENTRYPOINT ["adit"]
CMD ["serve"]
