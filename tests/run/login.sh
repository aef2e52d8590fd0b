#!/bin/bash
# Logins against a real registry: what podman and skopeo keep is read by duet and the other way round,
# helpers are spoken with, other entries stay, broken stores are refused.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/registry_lib.sh
. "${srcdir:-.}/tests/run/registry_lib.sh" || exit 99
need docker-registry htpasswd podman skopeo
secret='pä:ss "w'
export HOME=$W/home XDG_RUNTIME_DIR=$W/run
unset DOCKER_CONFIG REGISTRY_AUTH_FILE
mkdir -p "$HOME" "$XDG_RUNTIME_DIR" "$W/path"
AUTH=$XDG_RUNTIME_DIR/containers/auth.json

clean_up_more() {
	registry_stop
	[ -z "${GNUPGHOME-}" ] || gpgconf --kill gpg-agent 2>/dev/null
}

# The login of HOST (of its repository a/b): "USER SECRET", "token T", "none"; or the error
known() {
	"$BUILD/tests/run/login_probe" "$1" 2>&1
}

duet_login() {
	printf '%s\n' "$secret" | "$DUET" login --no-verify -u "$1" --password-stdin "$2" 2>"$W/err"
}

registry_start closed "auth=joe:$secret"
HOST=$REGISTRY
is 'nobody is logged in' "$(known "$HOST")" none

# ---- files of others -----------------------------------------------------------------------------
for tool in podman skopeo; do
	printf '%s' "$secret" | $tool login --tls-verify=false -u joe --password-stdin "$HOST" >/dev/null
	is "duet reads what $tool wrote" "$(known "$HOST")" "joe $secret"
	"$DUET" logout "$HOST" 2>/dev/null
	is "duet logs out of what $tool wrote" "$? $(known "$HOST")" '0 none'
	is "and $tool knows it" "$($tool login --get-login "$HOST" 2>/dev/null)" ''
	duet_login joe "$HOST"
	is "duet logs in: $tool reads it" "$($tool login --get-login "$HOST" 2>&1)" joe
	$tool login --tls-verify=false "$HOST" >/dev/null 2>&1 </dev/null
	is "and $tool is let in with it" $? 0
	$tool logout "$HOST" >/dev/null
	is "$tool logs out of what duet wrote" "$(known "$HOST")" none
done

# ---- a login is tried ----------------------------------------------------------------------------
# try SECRET: with the code and what was said in $code and $W/err
try() {
	printf '%s' "$1" | "$DUET" login -u joe --password-stdin "$HOST" 2>"$W/err"
	code=$?
}
before=$(grep -c 'GET /v2/' "$REGISTRY_LOG")
try "$secret"
is 'plain http is not spoken unasked' "$code $(known "$HOST")" '1 none'
is 'and nothing of it arrived' "$(grep -c 'GET /v2/' "$REGISTRY_LOG")" "$before"
echo "registries: {\"$HOST\": {plain: true}}" >"$XDG_CONFIG_HOME/duet/config.yaml"
has 'a key of the configuration that there is not: its place, for an image without a spec too' \
	"$("$DUET" pull --store "$W/store" "$HOST/image:v1" 2>&1)" \
	"$XDG_CONFIG_HOME/duet/config.yaml:1:$((19 + ${#HOST})): error[spec.unknown-key]: "
has 'and when it is to be run' "$("$DUET" run --store "$W/store" --image "$HOST/image:v1" -- true 2>&1 </dev/null)" \
	"$XDG_CONFIG_HOME/duet/config.yaml:1:$((19 + ${#HOST})): error[spec.unknown-key]: "
registry_allow
try wrong
is 'a wrong password' "$code $(known "$HOST")" '1 none'
has 'a wrong password: message' "$(cat "$W/err")" \
	"error[auth.refused]: log in to $HOST as joe: the registry does not let this login in (401)"
has 'a wrong password: mend' "$(cat "$W/err")" 'nothing was kept; check user and password'
try "$secret"
is 'the right one' "$code $(known "$HOST")" "0 joe $secret"
is 'it was asked' "$(($(grep -c 'GET /v2/' "$REGISTRY_LOG") > before))" 1
has 'the right one: where' "$(cat "$W/err")" "the login for $HOST is kept in $AUTH"
"$DUET" logout "$HOST" 2>/dev/null

# ---- what is written -----------------------------------------------------------------------------
echo '{"auths": {"other.example": {"auth": "dTpz"}}, "x": [1, {"y": "z"}]}' >"$AUTH"
chmod 644 "$AUTH"
mv "$AUTH" "$W/real.json"
ln -s "$W/real.json" "$AUTH"
duet_login joe "$HOST"
is 'a link to the file stays' "$(readlink "$AUTH")" "$W/real.json"
is 'the file is for its owner' "$(stat -c %a "$W/real.json")" 600
is 'other entries stay' "$(known other.example)" 'u s'
is 'other members stay' "$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["x"])' "$AUTH")" \
	"[1, {'y': 'z'}]"
for user in 1 2 3 4 5 6; do
	duet_login "u$user" "$user.example" &
	logins="${logins-} $!"
done
# shellcheck disable=SC2086 # a list of pids
wait $logins
for user in 1 2 3 4 5 6; do
	is "login $user of six at once" "$(known "$user.example")" "u$user $secret"
done
is 'nothing lies beside it' "$(find "$W" -name '*~')" ''
duet_login hub Index.docker.io
is 'one name for Docker Hub' "$(known docker.io)" "hub $secret"
"$DUET" logout docker.io 2>/dev/null
mkdir -p "$HOME/.docker"
echo '{"auths": {"https://index.docker.io/v1/": {"auth": "dTpz"}}}' >"$HOME/.docker/config.json"
is "Docker Hub's key" "$(known docker.io)" 'u s'
"$DUET" logout docker.io 2>"$W/err"
has "what is docker's stays" "$? $(cat "$W/err")" \
	".docker/config.json still has a login for docker.io, which duet goes on to use"
rm "$HOME/.docker/config.json"
REGISTRY_AUTH_FILE=$W/named/auth.json duet_login joe named.example
is 'a file that is named' "$(REGISTRY_AUTH_FILE=$W/named/auth.json known named.example)" "joe $secret"
is 'is the only one then' "$(REGISTRY_AUTH_FILE=$W/named/auth.json known other.example)" none

# ---- the line ------------------------------------------------------------------------------------
# refused NAME CODE TEXT OPTIONS...
refused() {
	name=$1 code=$2 text=$3
	shift 3
	echo secret | "$DUET" login "$@" >"$W/out" 2>"$W/err"
	is "$name: code" $? "$code"
	has "$name: message" "$(cat "$W/err")" "$text"
}
before=$(cat "$AUTH")
refused 'no host' 2 'lacks its host' -u joe --password-stdin
refused 'a URL' 2 'is no host of a registry' -u joe --password-stdin https://a.example/
refused 'no user' 2 'there is no --username' --password-stdin a.example
refused 'a user with a colon' 2 'has no ":" in it' -u a:b --password-stdin a.example
printf '' | "$DUET" login --no-verify -u joe --password-stdin a.example 2>"$W/err"
has 'no password' "$? $(cat "$W/err")" '2 duet: error[usage]: the password is empty'
printf 'a\0b' | "$DUET" login --no-verify -u joe --password-stdin a.example 2>"$W/err"
has 'a NUL' "$? $(cat "$W/err")" '2 duet: error[usage]: read standard input: there is a NUL in it'
is 'nothing was written' "$(cat "$AUTH")" "$before"

# ---- the terminal --------------------------------------------------------------------------------
cat >"$W/type.py" <<'END'
"""Types a login at a terminal: duet's output, and whether the password was shown."""
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
for prompt, answer in ((b"User of", b"joe\n"), (b"Password or token:", b"hush-hush\n")):
    while prompt not in seen:
        seen += os.read(fd, 1000)
    time.sleep(0.2)
    os.write(fd, answer)
try:
    while True:
        part = os.read(fd, 1000)
        if not part:
            break
        seen += part
except OSError:
    pass
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status), "shown" if b"hush" in seen else "hidden",
      "joe" if b"joe" in seen else "no user")
END
is 'typed: the user is shown, the password is not' \
	"$($PYTHON "$W/type.py" "$DUET" login --no-verify typed.example)" '0 hidden joe'
is 'and kept' "$(known typed.example)" 'joe hush-hush'

# ---- helpers -------------------------------------------------------------------------------------
cat >"$W/path/docker-credential-test" <<END
#!/bin/bash
# the protocol of credential helpers, over a folder; what it was asked is noted
input=\$(cat)
echo "\$1" >>"$W/asked"
case \$1 in
get)
	name=\$(printf '%s' "\$input" | tr / _)
	cat "$W/keyring/\$name" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
store)
	name=\$(printf '%s' "\$input" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["ServerURL"].replace("/", "_"))')
	printf '%s' "\$input" >"$W/keyring/\$name" ;;
erase)
	rm "$W/keyring/\$(printf '%s' "\$input" | tr / _)" ;;
esac
END
chmod +x "$W/path/docker-credential-test"
PATH=$W/path:$PATH
mkdir -p "$W/keyring" "$HOME/.docker"
echo '{"credsStore": "test", "credHelpers": {"off.example": ""}}' >"$HOME/.docker/config.json"
rm "$AUTH"
is 'a helper that knows nobody' "$(known h.example)" none
duet_login joe h.example
has 'login by a helper' "$(cat "$W/err")" 'is kept in docker-credential-test'
is 'and what it gives' "$(known h.example)" "joe $secret"
is 'no file has it' "$([ -e "$AUTH" ] && cat "$AUTH")" ''
duet_login joe docker.io
is "Docker Hub's name towards a helper" "$(ls "$W/keyring")" 'h.example
https:__index.docker.io_v1_'
"$DUET" logout h.example 2>"$W/err"
is 'logout by a helper' "$? $(known h.example)" '0 none'
duet_login joe off.example
is 'a host without the helper' "$(known off.example) $(find "$W/keyring" -name 'off*')" "joe $secret "
echo '{"ServerURL": "t.example", "Username": "<token>", "Secret": "tok"}' >"$W/keyring/t.example"
is 'a token of a helper' "$(known t.example)" 'token tok'

# broken NAME TEXT SCRIPT: a helper that does this
broken() {
	printf '#!/bin/bash\n%s\n' "$3" >"$W/path/docker-credential-test"
	has "a helper that $1" "$(known h.example)" "$2"
	has "a helper that $1: class" "$(known h.example)" 'error[auth.refused]'
}
broken 'fails' 'docker-credential-test get: exit code 1: the keyring is\x1b[1m locked' \
	"printf 'the keyring is\\033[1m locked\\n'; exit 1"
broken 'dies' 'exit code 137' 'kill -9 $$'
broken 'says nothing' 'not a JSON map with Username and Secret' 'exit 0'
broken 'says half of it' 'not a JSON map' "printf '{\"Username\": \"u\", \"Secret\": \"s'"
broken 'says too much' 'said more than 65536 bytes' "head -c 100000 /dev/zero | tr '\\0' x"
printf '#!/bin/bash\nsleep 30 &\necho $! >"%s"\necho "{\\"Username\\": \\"u\\", \\"Secret\\": \\"s\\"}"\n' "$W/agent" \
	>"$W/path/docker-credential-test"
is 'an agent that it leaves behind is not waited for' "$(timeout 10 "$BUILD/tests/run/login_probe" h.example)" 'u s'
kill "$(cat "$W/agent")"
(
	cd "$W/path" && PATH=.:/usr/bin:/bin
	has 'a helper in a folder that depends' "$(known h.example)" 'it is not in $PATH'
	exit $failed
) || not_ok 'a helper where we are is not run'
echo '{"credsStore": "../x"}' >"$HOME/.docker/config.json"
has 'a helper with a path in its name' "$(known h.example)" '"../x" is no name of a credential helper'

if command -v docker-credential-pass >/dev/null && command -v pass >/dev/null && command -v gpg >/dev/null; then
	export GNUPGHOME=$W/gnupg PASSWORD_STORE_DIR=$W/password-store
	mkdir -m 700 "$GNUPGHOME"
	gpg -q --batch --passphrase '' --quick-generate-key duet-test default default never 2>/dev/null
	pass init duet-test >/dev/null
	echo '{"credsStore": "pass"}' >"$HOME/.docker/config.json"
	duet_login joe "$HOST"
	is 'docker-credential-pass' "$(known "$HOST")" "joe $secret"
	is 'keeps it under its key' "$(find "$PASSWORD_STORE_DIR" -name '*.gpg' | wc -l)" 1
	"$DUET" logout "$HOST" 2>/dev/null
	is 'and forgets it' "$? $(known "$HOST")" '0 none'
fi
rm "$HOME/.docker/config.json"

# ---- broken stores -------------------------------------------------------------------------------
duet_login joe "$HOST"
whole=$(cat "$AUTH")
for bytes in 0 1 10 $((${#whole} - 1)); do
	printf '%s' "${whole:0:bytes}" >"$AUTH"
	has "the first $bytes bytes of a file: not read" "$(known "$HOST")" 'error[auth.refused]'
	duet_login joe a.example && not_ok "the first $bytes bytes of a file: written"
	is "the first $bytes bytes of a file: left alone" "$(cat "$AUTH"; echo .)" "${whole:0:bytes}."
done
rm "$AUTH"
mkfifo "$AUTH"
has 'a fifo' "$(timeout 5 "$BUILD/tests/run/login_probe" "$HOST" 2>&1)" 'not a regular file'
rm "$AUTH"
printf 'machine 127.0.0.1 login net password rc\n' >"$HOME/.netrc"
is '.netrc is nobody' "$(known "$HOST")" none
finish
