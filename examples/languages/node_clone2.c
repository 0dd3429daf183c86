// SPDX-License-Identifier: MIT
// Node has no way to call C, so this is an addon: clone2Exec(pid, path, ...arguments) and
// wait(pid). cc -shared -fPIC -I/usr/include/node -I../../shim node_clone2.c -o clone2.node
#include "clone2_exec.h"

#include <errno.h>
#include <node_api.h>
#include <string.h>
#include <sys/wait.h>

enum { MOST = 8, LONGEST = 1024 };

static napi_value clone2_exec_call(napi_env env, napi_callback_info info)
{
    napi_value values[MOST], result;
    size_t count = MOST;
    int32_t pid = 0;
    char texts[MOST][LONGEST];
    char *argv[MOST] = {NULL};
    napi_get_cb_info(env, info, &count, values, NULL, NULL);
    if (count < 2 || count > MOST || napi_get_value_int32(env, values[0], &pid) != napi_ok) {
        napi_throw_type_error(env, NULL, "clone2Exec(pid, path, ...arguments)");
        return NULL;
    }
    for (size_t i = 1; i < count; i++) {
        napi_get_value_string_utf8(env, values[i], texts[i], LONGEST, NULL);
        argv[i - 1] = texts[i];
    }
    pid_t child = clone2_exec(pid, argv);
    if (child < 0) {
        napi_throw_error(env, NULL, strerror(errno));
        return NULL;
    }
    napi_create_int32(env, child, &result);
    return result;
}

// Node itself waits only for the children that it has started.
static napi_value wait_call(napi_env env, napi_callback_info info)
{
    napi_value value, result;
    size_t count = 1;
    int32_t pid = 0;
    int status = 0;
    napi_get_cb_info(env, info, &count, &value, NULL, NULL);
    napi_get_value_int32(env, value, &pid);
    waitpid(pid, &status, 0);
    napi_create_int32(env, status, &result);
    return result;
}

NAPI_MODULE_INIT()
{
    napi_value function;
    napi_create_function(env, "clone2Exec", NAPI_AUTO_LENGTH, clone2_exec_call, NULL, &function);
    napi_set_named_property(env, exports, "clone2Exec", function);
    napi_create_function(env, "wait", NAPI_AUTO_LENGTH, wait_call, NULL, &function);
    napi_set_named_property(env, exports, "wait", function);
    return exports;
}
