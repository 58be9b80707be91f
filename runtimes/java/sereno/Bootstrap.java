package sereno;

import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Runs a Java function inside its sandbox; `rehearse` as its argument loads what every function needs, for an archive of classes. */
public final class Bootstrap {
    private Bootstrap() {}

    public static void main(String[] arguments) throws Throwable {
        if (arguments.length > 0 && arguments[0].equals("rehearse")) {
            rehearse();
            return;
        }
        Frames.receive(); // the environment is there since the start
        printToFrames();
        Handler handler;
        LambdaRuntime.setLogger(new Invocation(Collections.emptyMap()));
        try {
            URLClassLoader loader = new URLClassLoader(classPath(), Bootstrap.class.getClassLoader());
            Thread.currentThread().setContextClassLoader(loader);
            handler = Handler.find(System.getenv("_HANDLER"), loader);
        } catch (Throwable error) {
            tell(error);
            Frames.send('F', Json.write(payload(error)));
            System.exit(1);
            return;
        }
        Frames.send('R', "{}");
        while (true) invoke(handler, Frames.receive());
    }

    private static void printToFrames() {
        PrintStream printed = new PrintStream(new Frames.Printed(), true);
        System.setOut(printed);
        System.setErr(printed);
        System.setIn(new ByteArrayInputStream(new byte[0]));
    }

    /** https://docs.aws.amazon.com/lambda/latest/dg/java-package.html */
    private static URL[] classPath() throws java.io.IOException {
        String task = System.getenv("LAMBDA_TASK_ROOT");
        List<URL> path = new ArrayList<>();
        path.add(new File(task + "/").toURI().toURL());
        for (String folder : new String[] {task + "/lib", "/opt/java/lib"}) {
            File[] jars = new File(folder).listFiles((parent, name) -> name.endsWith(".jar"));
            if (jars == null) continue;
            Arrays.sort(jars);
            for (File jar : jars) path.add(jar.toURI().toURL());
        }
        return path.toArray(new URL[0]);
    }

    private static void invoke(Handler handler, ByteBuffer frame) {
        byte[] text = new byte[frame.getInt()];
        frame.get(text);
        byte[] event = new byte[frame.remaining()];
        frame.get(event);
        Map<?, ?> header = (Map<?, ?>) Json.read(new String(text, StandardCharsets.UTF_8));
        Invocation invocation = new Invocation(header);
        LambdaRuntime.setLogger(invocation);
        // The environment of a Java process cannot change: this is where AWS's tracing library looks.
        if (header.get("trace") != null) System.setProperty("com.amazonaws.xray.traceHeader", header.get("trace").toString());
        try {
            ByteArrayOutputStream result = handler.handle(event, invocation);
            byte[] bytes = result.toByteArray();
            Frames.send('O', bytes, bytes.length);
        } catch (Throwable error) {
            tell(error);
            Frames.send('E', Json.write(payload(error)));
            if (error instanceof VirtualMachineError) System.exit(1);
        }
    }

    private static void tell(Throwable error) {
        StringWriter trace = new StringWriter();
        error.printStackTrace(new PrintWriter(trace, true));
        LambdaRuntime.getLogger().log(error.getMessage() + ": " + error.getClass().getName() + "\n" + trace);
    }

    /** https://docs.aws.amazon.com/lambda/latest/dg/java-exceptions.html */
    private static Map<String, Object> payload(Throwable error) {
        Map<String, Object> payload = new LinkedHashMap<>();
        if (error.getMessage() != null) payload.put("errorMessage", error.getMessage());
        payload.put("errorType", error.getClass().getName());
        List<String> trace = new ArrayList<>();
        for (StackTraceElement element : error.getStackTrace()) {
            if (element.getClassName().startsWith("sereno.") || element.getClassName().contains("reflect.")) break;
            trace.add(element.getClassName() + "." + element.getMethodName() + "("
                + (element.isNativeMethod() ? "Native Method" : element.getFileName() + ":" + element.getLineNumber()) + ")");
        }
        payload.put("stackTrace", trace);
        if (error.getCause() != null && error.getCause() != error) payload.put("cause", payload(error.getCause()));
        return payload;
    }

    private static void rehearse() throws Throwable {
        Class.forName("sereno.Frames", true, Bootstrap.class.getClassLoader());
        new PrintStream(new ByteArrayOutputStream(), true).println("");
        URLClassLoader loader = new URLClassLoader(classPath(), Bootstrap.class.getClassLoader());
        Handler handler = Handler.find("sereno.Bootstrap$Rehearsal", loader);
        String event = "{\"id\": \"x\", \"deadline\": 1700000000000, \"list\": [1, 2.5, true, null]}";
        Map<?, ?> header = (Map<?, ?>) Json.read(event);
        handler.handle(event.getBytes(StandardCharsets.UTF_8), new Invocation(header)).toByteArray();
        Json.write(payload(new RuntimeException("x")));
    }

    /** A function like many. */
    public static final class Rehearsal implements com.amazonaws.services.lambda.runtime.RequestHandler<Map<String, Object>, Rehearsal> {
        private Map<String, Object> all;

        public Map<String, Object> getAll() {
            return all;
        }

        @Override
        public Rehearsal handleRequest(Map<String, Object> event, com.amazonaws.services.lambda.runtime.Context context) {
            all = event;
            return this;
        }
    }
}
