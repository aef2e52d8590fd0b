FROM scratch AS empty
COPY a.txt /bin
COPY b.txt /bin/
WORKDIR /w
COPY a.txt /w
COPY dir /data
COPY a.txt /data
COPY *.log logs/
COPY ?only-hidden logs/
COPY dir/*.only /name
COPY *.txt /several
COPY link linked
ADD *.tar* /archives
FROM debian:bookworm
COPY a.txt /usr/local/bin
COPY a.txt /usr/local/bin/tool
COPY a.txt /usr/local/bin/a.txt
COPY a.txt /usr/local/bin/tool.txt
COPY dir /usr/local/dir2
COPY --from=empty /w/*.txt /kept/
COPY --from=empty /w/*.txt /only
COPY --from=empty /w/a.txt /etc
FROM empty
COPY a.txt /data
COPY a.txt /etc
