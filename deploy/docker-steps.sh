#!/bin/sh
# Takes the build stage of deploy/Dockerfile step by step where no builder is: its
# COPY and RUN lines are read from it, so the two cannot differ.
# usage: docker-steps.sh OUT [NAME=VALUE ...]   the values of ARG lines
# OUT becomes the image's root, as far as COPY --from=build fills it.
set -eu
[ $# -gt 0 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
for value in "$@"; do export "${value?}"; done
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$stage"

# sees copies into the stage what the build sees: the files of git that .dockerignore
# lets through. Its lines are *, !NAME of the root, and **/PATTERN.
sees() {
	git -C "$root" ls-files -co --exclude-standard | while IFS= read -r file; do
		[ -f "$root/$file" ] || continue
		grep -qxF "!${file%%/*}" "$root/.dockerignore" || continue
		case /$file in */testdata/* | *_test.go) continue ;; esac
		mkdir -p "$(dirname "$file")"
		cp -p "$root/$file" "$file"
	done
}

within=
sed -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' "$root/deploy/Dockerfile" | while read -r word rest; do
	case $word in
	FROM) case $rest in *' AS build') within=build ;; *) within=image ;; esac ;;
	ARG)
		name=${rest%%=*} value=
		case $rest in *=*) value=${rest#*=} ;; esac
		eval "[ -n \"\${$name+set}\" ] || export $name=\$value" ;;
	COPY)
		case $within:$rest in
		build:'. .') echo "COPY $rest"; sees ;;
		build:*' ./') echo "COPY $rest"; for file in ${rest% ./}; do cp "$root/$file" .; done ;;
		image:*)
			set -- $rest
			while [ $# -gt 2 ]; do shift; done
			echo "COPY $1 $2"
			mkdir -p "$out$(dirname "$2")"
			cp -a ".${1#/src}" "$out$2" ;;
		*) echo "docker-steps.sh does not know how to COPY $rest" >&2; exit 1 ;;
		esac ;;
	RUN) echo "RUN $rest"; sh -euc "$rest" ;;
	esac
done
