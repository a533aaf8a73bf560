# SPDX-License-Identifier: MIT
# Made by scripts/generate from the table of commands.
_bearerd() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "serve init check explain token status wait reload drain ping demo version help --help --version" -- "$word")
    return
  fi
  case $before in
    -c|--secret-file|--ca-file|--output|--key-file)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    --token-url|--issuer|--client-id|--secret-env|--upstream|--scope|--auth-method|--listen|--admin|-H|--route|--credential|--timeout|--pid) return ;;
  esac
  local words=
  case ${COMP_WORDS[1]} in
    serve) words="-c --help" ;;
    init) words="--token-url --issuer --client-id --secret-file --secret-env --upstream --scope --auth-method --ca-file --listen --admin --output --force --try --help" ;;
    check) words="-c --live --help" ;;
    explain) words="-c -H --help" ;;
    token) words="-c --route --credential --scope --decode --header --help" ;;
    status) words="-c --admin --key-file --watch --json --quiet --help" ;;
    wait) words="-c --admin --key-file --timeout --help" ;;
    reload) words="-c --admin --key-file --pid --help" ;;
    drain) words="-c --admin --key-file --help" ;;
    ping) words="-c --help" ;;
    demo) words="--once --help" ;;
    help | --help) words=$(bearerd help --format=topics 2>/dev/null) ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o filenames -F _bearerd bearerd
