FROM alpine
LABEL a=b "c d"="e f"
LABEL g "h i"
LABEL word
LABEL org.example.text="a \"q\"" y=z
EXPOSE 80 53/udp 8000-8002 99999
VOLUME ["/data", "/x y"]
VOLUME /one /two
STOPSIGNAL QUIT
USER www-data
ENTRYPOINT exec tool
CMD ["--help"]
ENV PATH=/opt/bin:$PATH
HEALTHCHECK --interval=5s CMD curl localhost
HEALTHCHECK NONE
ONBUILD RUN x
MAINTAINER Somebody
