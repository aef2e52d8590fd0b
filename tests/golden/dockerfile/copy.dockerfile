FROM scratch
WORKDIR /w
COPY a.txt b.txt to
COPY ./dir/ .
COPY --chown=33 --chmod=0644 /c.txt /etc/d.txt
COPY --chown=www-data --exclude=x *.md docs/
COPY ["with blank", "./"]
COPY ${NONE:-e$}.txt f
COPY a.txt ../f
ADD root.tar.xz g.txt /
ADD https://example.org/x.tar /x
ADD old.tar.bz2 /
COPY <<END /file
text
END
COPY alone
