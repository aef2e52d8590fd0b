# escape=`
FROM alpine
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN a | `
  b
CMD echo hi
SHELL ["/bin/sh", "-c"]
RUN c\
ENV W=C:\x`$
SHELL bash
