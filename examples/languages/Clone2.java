// SPDX-License-Identifier: MIT
// javac Clone2.java && java -Djava.library.path=. Clone2 [PID...]
public class Clone2 {
    static {
        System.loadLibrary("clone2_jni"); // jni_clone2.c
    }

    /** Has the shell run a command in a child with this pid. Returns the pid, or -errno. */
    static native int shell(int pid, byte[] command);

    /** Waits for this child and returns its status. */
    static native int waitFor(int pid);

    public static void main(String[] arguments) {
        for (String text : arguments.length > 0 ? arguments : new String[] {"7000"}) {
            int child = shell(Integer.parseInt(text), "echo \"child: my pid is $$\"\0".getBytes());
            if (child < 0) {
                System.err.println("clone2: error " + -child);
                System.exit(1);
            }
            waitFor(child);
            System.out.println("parent: the child's pid was " + child);
        }
    }
}
