FROM --platform=linux/arm64 golang:1.22 AS build
ENV GO=1
WORKDIR /src
USER 1000:1000
COPY . .
FROM build AS test
RUN go test
FROM scratch
COPY --from=build /src/out /bin/tool
COPY --from=1 report /
COPY --from=busybox:1.36 /bin/busybox bin/sh /bin/
COPY --from=busybox:1.36 /etc /etc
COPY --from=Not:A:Name /x /y
