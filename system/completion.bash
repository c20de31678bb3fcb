# bash completion of scalefs' programs. What they take is read from their own --help.

# Options that begin with $2, of the program $1.
_scalefs_options() {
  local help
  help=$("$1" --help 2>/dev/null) || return
  mapfile -t COMPREPLY < <(compgen -W "$(grep -oE '(^|[[:space:],])-{1,2}[[:alpha:]][[:alnum:]-]*' <<<"$help" |
    tr -d ' ,' | sort -u)" -- "$2")
}

# Mount options, of which several stand behind -o with commas between, that begin with the last of $2.
_scalefs_mount_options() {
  local before='' last=$2 words
  if [[ $last == *,* ]]; then
    before=${last%,*},
    last=${last##*,}
  fi
  words=$("$1" --help 2>/dev/null | sed -nE 's/^  ([a-z_]+=?)[A-Z]* {2,}.*/\1/p; s/^  ([a-z_=]+(, [a-z_=]+)+,?).*/\1/p' | tr -d ' ' |
    tr ',' '\n' | sort -u)
  mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words defaults ro rw nofail noauto remount" -- "$last")
  compopt -o nospace
}

_scalefs_files() {
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_scalefs_mountpoints() {
  mapfile -t COMPREPLY < <(compgen -W "$(awk '$3 ~ /^fuse(blk)?\.scalefs$/ { print $2 }' /proc/self/mounts)" -- "$1")
}

# What the subcommand's list in --help says, for scalefs-dump and scalefs-bench.
_scalefs_subcommands() {
  mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null |
    sed -nE '/^(Subcommands|commands):/,/^$/ s/^ +([a-z]+) .*/\1/p')" -- "$2")
}

# Values of scalefs-bench's --target and --workload, several with commas between. Bash takes a colon for the end of a word, so
# that what stands before it is not to be said again.
_scalefs_bench_values() {
  local before='' typed=$3 last=$3 i
  if [[ $last == *,* ]]; then
    before=${last%,*},
    last=${last##*,}
  fi
  mapfile -t COMPREPLY < <(compgen -P "$before" -W "$("$1" list "$2" 2>/dev/null | awk '/^[A-Za-z]/ { print $1 }')" -- "$last")
  compopt -o nospace
  if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"${typed%:*}:"}; done
  fi
}

_scalefs() {
  local program=$1 word=$2 before=$3 name=${1##*/}
  local first=${COMP_WORDS[1]-}
  COMPREPLY=()
  case $name in
    scalefs | mount.scalefs)
      if [[ $before == -o ]]; then
        _scalefs_mount_options scalefs "$word"
      elif [[ $word == -* && $first == stat ]]; then
        mapfile -t COMPREPLY < <(compgen -W --json -- "$word")
      elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '-o -f -d -v -V -h --memory --help --version' -- "$word")
      elif [[ $name == scalefs && $first =~ ^(sync|stat)$ && $COMP_CWORD -gt 1 ]]; then
        _scalefs_mountpoints "$word"
      else
        _scalefs_files "$word"
        ((COMP_CWORD > 1)) || [[ $name != scalefs ]] ||
          mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'sync stat' -- "$word")
      fi
      ;;
    umount.scalefs) _scalefs_mountpoints "$word" ;;
    scalefs-dump | scalefs-bench)
      if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
        _scalefs_subcommands "$program" "$word"
      elif [[ $name == scalefs-bench && ${COMP_LINE:0:COMP_POINT} =~ [[:space:]]--(target|workload)[[:space:]]+([^[:space:]]*)$ ]]; then
        _scalefs_bench_values "$program" "${BASH_REMATCH[1]}s" "${BASH_REMATCH[2]}"
      elif [[ $word == -* ]]; then
        local top
        _scalefs_options "$program" "$word"
        top=("${COMPREPLY[@]}")
        if [[ $first == [a-z]* ]]; then
          mapfile -t COMPREPLY < <(compgen -W "$("$program" "$first" --help 2>/dev/null |
            grep -oE '(^|[[:space:],[])-{1,2}[[:alpha:]][[:alnum:]-]*' | tr -d ' ,[' | sort -u)" -- "$word")
          ((${#COMPREPLY[@]})) || COMPREPLY=("${top[@]}")
        fi
      else
        _scalefs_files "$word"
      fi
      ;;
    *)
      if [[ $word == -* ]]; then
        _scalefs_options "$program" "$word"
      else
        _scalefs_files "$word"
      fi
      ;;
  esac
}

complete -F _scalefs scalefs mkfs.scalefs fsck.scalefs scalefs-dump scalefs-image scalefs-bench mount.scalefs umount.scalefs
