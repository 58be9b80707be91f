package com.amazonaws.services.lambda.runtime;

/** Who calls, when it is an identity of a pool. */
public interface CognitoIdentity {
    String getIdentityId();

    String getIdentityPoolId();
}
