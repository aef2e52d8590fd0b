FROM alpine
RUN <<END
set -e
  echo "$A"
END
RUN <<-"END" cat >/x
	one
	END
RUN <<END
#!/usr/bin/python3
print(1)
END
RUN cat <<< here
