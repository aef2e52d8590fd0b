FROM alpine
USER root
RUN --mount=type=cache,id=apk,target=/var/cache/apk --mount=type=cache,target=/root/.npm one
RUN --mount=type=cache,id=apk,target=/var/cache/apk,sharing=shared two
RUN --mount=type=cache,id=/root/.npm,target=/root/.npm three
RUN --mount=type=cache,id=apk,target=/etc/apk/cache four
RUN --mount=type=cache,id=other,target=/var/cache/apk five
RUN --mount=type=cache,id=../../x,target=/x six
