package sereno;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/** The context of one invocation, and the log. */
final class Invocation implements Context, LambdaLogger {
    private static final boolean JSON = "JSON".equalsIgnoreCase(System.getenv("AWS_LAMBDA_LOG_FORMAT"));
    private static final LogLevel LOWEST = lowest();

    private final Map<?, ?> header;

    Invocation(Map<?, ?> header) {
        this.header = header;
    }

    private static LogLevel lowest() {
        String name = System.getenv("AWS_LAMBDA_LOG_LEVEL");
        return JSON && name != null ? LogLevel.fromString(name) : LogLevel.UNDEFINED;
    }

    private String text(String name) {
        Object value = header.get(name);
        return value == null ? null : value.toString();
    }

    @Override
    public String getAwsRequestId() {
        return text("id");
    }

    @Override
    public String getLogGroupName() {
        return System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
    }

    @Override
    public String getLogStreamName() {
        return System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");
    }

    @Override
    public String getFunctionName() {
        return System.getenv("AWS_LAMBDA_FUNCTION_NAME");
    }

    @Override
    public String getFunctionVersion() {
        return System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
    }

    @Override
    public String getInvokedFunctionArn() {
        return text("arn");
    }

    @Override
    public CognitoIdentity getIdentity() {
        Map<?, ?> identity = text("identity") == null ? null : (Map<?, ?>) Json.read(text("identity"));
        return new CognitoIdentity() {
            @Override
            public String getIdentityId() {
                return identity == null ? "" : String.valueOf(identity.get("cognitoIdentityId"));
            }

            @Override
            public String getIdentityPoolId() {
                return identity == null ? "" : String.valueOf(identity.get("cognitoIdentityPoolId"));
            }
        };
    }

    @Override
    public ClientContext getClientContext() {
        return text("client") == null ? null : new Caller((Map<?, ?>) Json.read(text("client")));
    }

    @Override
    public int getRemainingTimeInMillis() {
        return (int) (((Number) header.get("deadline")).longValue() - System.currentTimeMillis());
    }

    @Override
    public int getMemoryLimitInMB() {
        return Integer.parseInt(System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    }

    @Override
    public LambdaLogger getLogger() {
        return this;
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(new String(message, StandardCharsets.UTF_8));
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        log(new String(message, StandardCharsets.UTF_8), level);
    }

    @Override
    public void log(String message, LogLevel level) {
        if (level != LogLevel.UNDEFINED && level.compareTo(LOWEST) < 0) return;
        Frames.log(level.ordinal(), JSON ? record(message, level) : String.valueOf(message));
    }

    private String record(String message, LogLevel level) {
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("timestamp", Instant.ofEpochMilli(System.currentTimeMillis()).toString());
        record.put("message", message);
        if (level != LogLevel.UNDEFINED) record.put("level", level.name());
        if (getAwsRequestId() != null) record.put("AWSRequestId", getAwsRequestId());
        return Json.write(record);
    }

    /** What a mobile application tells of itself. */
    private static final class Caller implements ClientContext, Client {
        private final Map<?, ?> all;

        Caller(Map<?, ?> all) {
            this.all = all;
        }

        private Map<String, String> map(String name) {
            Map<String, String> map = new LinkedHashMap<>();
            if (all.get(name) instanceof Map) {
                ((Map<?, ?>) all.get(name)).forEach((key, value) -> map.put(key.toString(), String.valueOf(value)));
            }
            return map;
        }

        @Override
        public Client getClient() {
            return this;
        }

        @Override
        public Map<String, String> getCustom() {
            return map("custom");
        }

        @Override
        public Map<String, String> getEnvironment() {
            return map("env");
        }

        @Override
        public String getInstallationId() {
            return map("client").get("installation_id");
        }

        @Override
        public String getAppTitle() {
            return map("client").get("app_title");
        }

        @Override
        public String getAppVersionName() {
            return map("client").get("app_version_name");
        }

        @Override
        public String getAppVersionCode() {
            return map("client").get("app_version_code");
        }

        @Override
        public String getAppPackageName() {
            return map("client").get("app_package_name");
        }
    }
}
