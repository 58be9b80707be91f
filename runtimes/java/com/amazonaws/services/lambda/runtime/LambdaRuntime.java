package com.amazonaws.services.lambda.runtime;

/** The log, for code that has no context at hand. */
public final class LambdaRuntime {
    private static volatile LambdaLogger logger;

    private LambdaRuntime() {}

    public static LambdaLogger getLogger() {
        return logger;
    }

    /** The runtime's business. */
    public static void setLogger(LambdaLogger one) {
        logger = one;
    }
}
