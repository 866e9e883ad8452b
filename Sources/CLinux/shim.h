#pragma once
// Headers that Glibc's module map leaves out. Do not add sys/socket.h or sys/file.h (which is fcntl.h and one function):
// their names would move here from Glibc, in release builds at least.
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/un.h>

// Linux calls, types and values that the headers show only under _GNU_SOURCE, which one shim must not define alone.
struct tl_peer_credentials {  // struct ucred, for SO_PEERCRED
  pid_t pid;
  uid_t uid;
  gid_t gid;
};
int flock(int, int);
struct sockaddr;
int accept4(int, struct sockaddr *, unsigned int *, int);
static const int tl_open_path_only = 010000000;  // O_PATH

// prctl takes a variable list of arguments, which Swift does not import. A process that is not dumpable leaves no core.
static inline int tl_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
