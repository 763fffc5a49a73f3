/* SPDX-License-Identifier: MIT
 * "Threads". */
#include "core/status.h"
#include "engine/pool.h"

int32_t lossfn_num_threads(void) { return lossfn__pool_default_threads(); }

lossfn_status_t lossfn_set_num_threads(int32_t threads) {
    LOSSFN__REQUIRE(threads >= 0 && threads <= LOSSFN__POOL_MAX_THREADS, LOSSFN_ERROR_ARGUMENT,
                    "threads is %d, it is 0 to %d", (int)threads, LOSSFN__POOL_MAX_THREADS);
    lossfn__pool_set_default(threads);
    return LOSSFN_OK;
}

lossfn_status_t lossfn_threads_start(int32_t threads) {
    LOSSFN__REQUIRE(threads >= 0 && threads <= LOSSFN__POOL_MAX_THREADS, LOSSFN_ERROR_ARGUMENT,
                    "threads is %d, it is 0 to %d", (int)threads, LOSSFN__POOL_MAX_THREADS);
    if (threads == 0) threads = lossfn__pool_default_threads();
    LOSSFN__REQUIRE(lossfn__pool_start(threads) == 0, LOSSFN_ERROR_MEMORY, "%d threads cannot be started",
                    (int)threads);
    return LOSSFN_OK;
}

void lossfn_threads_stop(void) { lossfn__pool_stop(); }
