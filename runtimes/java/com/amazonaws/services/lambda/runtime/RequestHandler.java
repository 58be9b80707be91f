package com.amazonaws.services.lambda.runtime;

/** A handler that takes and gives objects. */
public interface RequestHandler<I, O> {
    O handleRequest(I input, Context context);
}
