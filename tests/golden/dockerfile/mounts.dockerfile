FROM alpine AS tools
FROM alpine
WORKDIR /w
RUN --mount=type=cache,target=/var/cache/apk,sharing=locked --mount=type=cache,dst=cache true
RUN --mount=type=secret,id=npm-token --mount=type=secret,id=other,target=/root/.x cat /run/secrets/npm-token
RUN --mount=type=bind,from=tools,source=usr,target=/tools --mount=from=busybox:1,target=/b ls
RUN --mount=type=bind,target=/ctx --mount=type=tmpfs,target=/t --mount=type=ssh ls
RUN --mount=type=cache,target=/x,uid=1 --security=insecure --network=host ls
