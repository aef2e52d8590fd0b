FROM alpine
RUN <<END
text
