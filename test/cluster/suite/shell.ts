/** The shell in the closures of hello-app and of mixed-app; the base image has none. */
export const shell = "/nix/store/r0hhs9ipmcrcypldz9d9rqiya66f49fi-bash-5.2.15/bin/bash";

/** A script of {@link shell} that does nothing until SIGTERM, without any program but the shell. */
export const idle = "trap 'exit 0' TERM; while :; do read -r -t 0.5 <> <(:) || :; done";

/** A script of {@link shell} that prints what is in the store, a name in each line. */
export const listStore = 'for path in /nix/store/*; do echo "${path##*/}"; done';
