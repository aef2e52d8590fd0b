# an ARG of the build is in the environment of its run steps only
ARG TAG=3.20
FROM alpine:${TAG}
ARG MODE=${TAG:+fast} LEVEL
ENV A=1 B="x $MODE y" C='$A' D=\$A E=${NONE:-d}${A:+p}${NONE}
ENV OLD form  value
RUN one
ENV A=2
RUN two
