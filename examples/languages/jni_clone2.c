// SPDX-License-Identifier: MIT
// Clone2.java's native methods. $JDK: /usr/lib/jvm/default-java
// cc -shared -fPIC -I$JDK/include -I$JDK/include/linux -I../../shim jni_clone2.c -o
// libclone2_jni.so
#include "clone2_exec.h"

#include <errno.h>
#include <jni.h>
#include <sys/wait.h>

// The command ends with a 0.
JNIEXPORT jint JNICALL Java_Clone2_shell(JNIEnv *env, jclass class, jint pid, jbyteArray command)
{
    (void)class;
    jbyte *text = (*env)->GetByteArrayElements(env, command, NULL);
    if (text == NULL) {
        return -ENOMEM;
    }
    char *argv[] = {"/bin/sh", "-c", (char *)text, NULL};
    pid_t child = clone2_exec(pid, argv);
    int err = errno;
    (*env)->ReleaseByteArrayElements(env, command, text, JNI_ABORT);
    return child < 0 ? -err : child;
}

JNIEXPORT jint JNICALL Java_Clone2_waitFor(JNIEnv *env, jclass class, jint pid)
{
    (void)env;
    (void)class;
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}
