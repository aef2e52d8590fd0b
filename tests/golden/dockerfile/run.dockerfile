FROM alpine:3.20
RUN apk add curl
RUN ["/bin/echo", "a b", "$HOME", "\""]
RUN --network=none id
RUN make \
# a comment
  all \

  install
RUN   if true; then \
        echo 'a: b # c'; \
      fi
