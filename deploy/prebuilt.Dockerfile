# The same image as Dockerfile's, of bin/adit that `make build` left: building it
# takes no compiler in a container and no network.
#
#   make docker-prebuilt
#
# A stage of the other file would not do: Docker's classic builder goes through
# every stage before the one that is wanted.

FROM scratch
COPY bin/adit /usr/local/bin/adit
ENV PATH=/usr/local/bin
EXPOSE 500/udp 4500/udp
VOLUME /var/lib/adit
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["adit", "status"]
ENTRYPOINT ["adit"]
CMD ["serve"]
