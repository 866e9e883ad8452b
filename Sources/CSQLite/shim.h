#pragma once
#include <sqlite3.h>

// C variadics and casted macros do not reach Swift.
static inline int tl_sqlite3_config_single_thread(void) { return sqlite3_config(SQLITE_CONFIG_MULTITHREAD); }
static inline int tl_sqlite3_db_flag(sqlite3 *db, int option, int value) { return sqlite3_db_config(db, option, value, (int *)0); }
static inline int tl_sqlite3_db_lookaside(sqlite3 *db, int size, int count) {
  return sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, (void *)0, size, count);
}
