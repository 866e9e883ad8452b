#pragma once
// Headers that Glibc's module map leaves out.
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/un.h>
