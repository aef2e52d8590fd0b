FROM debian:bookworm AS one
ENTRYPOINT []
CMD ["kept"]
FROM debian:bookworm
CMD []
FROM one
ENTRYPOINT []
FROM one
ENTRYPOINT ["own"]
CMD []
