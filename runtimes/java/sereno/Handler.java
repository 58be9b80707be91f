package sereno;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.ServiceLoader;

/**
 * Finds what the function's handler names and makes it a function from bytes to bytes: `package.Class` of one of AWS's two
 * interfaces, or `package.Class::method`.
 */
interface Handler {
    /** How many of the answer's first bytes count. */
    ByteArrayOutputStream handle(byte[] event, Context context) throws Throwable;

    /** Words of AWS's runtime: https://docs.aws.amazon.com/lambda/latest/dg/java-handler.html */
    static Handler find(String name, ClassLoader loader) throws Throwable {
        String[] parts = name.split("::");
        Class<?> type;
        try {
            type = Class.forName(parts[0], true, loader);
        } catch (ClassNotFoundException error) {
            throw new ClassNotFoundException("Class not found: " + parts[0]);
        }
        Object target = instance(type);
        CustomPojoSerializer own = serializer(loader);
        boolean standard = parts.length == 1 || parts[1].equals("handleRequest");
        if (standard && target instanceof RequestStreamHandler) {
            RequestStreamHandler handler = (RequestStreamHandler) target;
            return (event, context) -> {
                ByteArrayOutputStream output = new ByteArrayOutputStream();
                handler.handleRequest(new ByteArrayInputStream(event), output, context);
                return output;
            };
        }
        if (standard && target instanceof RequestHandler) {
            Type[] types = argumentsOf(type, RequestHandler.class);
            @SuppressWarnings("unchecked")
            RequestHandler<Object, Object> handler = (RequestHandler<Object, Object>) target;
            return (event, context) -> write(own, handler.handleRequest(read(own, types[0], event), context), types[1]);
        }
        if (parts.length == 1) {
            throw new ClassCastException("Class " + parts[0] + " does not implement an appropriate handler interface");
        }
        return ofMethod(target, method(type, parts[1]), own);
    }

    static Object instance(Class<?> type) throws Throwable {
        try {
            Constructor<?> constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (NoSuchMethodException error) {
            throw new NoSuchMethodException("Class " + type.getName() + " has no public zero-argument constructor");
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    static CustomPojoSerializer serializer(ClassLoader loader) {
        for (CustomPojoSerializer one : ServiceLoader.load(CustomPojoSerializer.class, loader)) return one;
        return null;
    }

    static Object read(CustomPojoSerializer own, Type type, byte[] event) {
        if (own != null) return own.fromJson(new ByteArrayInputStream(event), type);
        try {
            return Pojo.to(type, Json.read(new String(event, StandardCharsets.UTF_8)));
        } catch (RuntimeException error) {
            throw new RuntimeException("An error occurred during JSON parsing", error);
        }
    }

    static ByteArrayOutputStream write(CustomPojoSerializer own, Object result, Type type) {
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        if (own != null && result != null) {
            own.toJson(result, output, type);
            return output;
        }
        try {
            byte[] bytes = Json.write(Pojo.plain(result)).getBytes(StandardCharsets.UTF_8);
            output.write(bytes, 0, bytes.length);
            return output;
        } catch (RuntimeException error) {
            throw new RuntimeException("An error occurred during JSON serialization of response", error);
        }
    }

    /** The one with the most arguments, of those that AWS knows. */
    static Method method(Class<?> type, String name) throws NoSuchMethodException {
        Method best = null;
        for (Method method : type.getMethods()) {
            boolean fits = method.getName().equals(name) && !method.isBridge() && method.getParameterCount() <= 3;
            if (fits && (best == null || best.getParameterCount() < method.getParameterCount())) best = method;
        }
        if (best == null) {
            throw new NoSuchMethodException(
                "No public method named " + name + " with appropriate method signature found on class " + type.getName());
        }
        best.setAccessible(true);
        return best;
    }

    static Handler ofMethod(Object target, Method method, CustomPojoSerializer own) {
        Type[] types = method.getGenericParameterTypes();
        Class<?>[] classes = method.getParameterTypes();
        boolean streams = classes.length >= 2 && InputStream.class == classes[0] && OutputStream.class == classes[1];
        return (event, context) -> {
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            Object[] arguments = new Object[classes.length];
            for (int at = 0; at < arguments.length; at++) {
                if (classes[at] == Context.class) arguments[at] = context;
                else if (streams && at == 0) arguments[at] = new ByteArrayInputStream(event);
                else if (streams && at == 1) arguments[at] = output;
                else arguments[at] = read(own, types[at], event);
            }
            try {
                Object result = method.invoke(target, arguments);
                return streams ? output : write(own, result, method.getGenericReturnType());
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        };
    }

    /** What a class says about the type variables of an interface that it implements somewhere up its tree. */
    static Type[] argumentsOf(Class<?> type, Class<?> wanted) {
        Type[] found = search(type, wanted, new HashMap<>());
        return found != null ? found : new Type[] {Object.class, Object.class};
    }

    static Type[] search(Type type, Class<?> wanted, Map<TypeVariable<?>, Type> bound) {
        Class<?> raw = type instanceof ParameterizedType
            ? (Class<?>) ((ParameterizedType) type).getRawType() : type instanceof Class ? (Class<?>) type : null;
        if (raw == null) return null;
        Map<TypeVariable<?>, Type> inside = new HashMap<>();
        if (type instanceof ParameterizedType) {
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            for (int at = 0; at < arguments.length; at++) {
                inside.put(raw.getTypeParameters()[at], bound.getOrDefault(arguments[at], arguments[at]));
            }
        }
        if (raw == wanted) {
            Type[] arguments = new Type[wanted.getTypeParameters().length];
            for (int at = 0; at < arguments.length; at++) {
                Type argument = inside.getOrDefault(wanted.getTypeParameters()[at], Object.class);
                arguments[at] = argument instanceof TypeVariable ? Object.class : argument;
            }
            return arguments;
        }
        for (Type above : raw.getGenericInterfaces()) {
            Type[] found = search(above, wanted, inside);
            if (found != null) return found;
        }
        return raw.getGenericSuperclass() == null ? null : search(raw.getGenericSuperclass(), wanted, inside);
    }
}
