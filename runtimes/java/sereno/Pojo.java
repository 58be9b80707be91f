package sereno;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Between JSON's values and Java objects, as AWS's runtime does it: by setters and getters, absent and unknown members passed
 * over, null not written.
 *
 * <p>Members are found whatever their case: AWS's event classes have `setRecords` for `Records`, `setSns` for `Sns`.
 */
final class Pojo {
    /** Type variables of the class that is being filled. */
    private final Map<TypeVariable<?>, Type> bound;

    private Pojo(Map<TypeVariable<?>, Type> bound) {
        this.bound = bound;
    }

    static Object to(Type type, Object value) {
        return new Pojo(new HashMap<>()).convert(type, value);
    }

    private Object convert(Type type, Object value) {
        if (type instanceof TypeVariable) return convert(bound.getOrDefault(type, Object.class), value);
        if (type instanceof WildcardType) return convert(((WildcardType) type).getUpperBounds()[0], value);
        if (type instanceof GenericArrayType) {
            return array(((GenericArrayType) type).getGenericComponentType(), value);
        }
        if (type instanceof ParameterizedType) {
            ParameterizedType with = (ParameterizedType) type;
            return object((Class<?>) with.getRawType(), with.getActualTypeArguments(), value);
        }
        return object((Class<?>) type, new Type[0], value);
    }

    private Object object(Class<?> type, Type[] arguments, Object value) {
        if (value == null) return type == Optional.class ? Optional.empty() : nothing(type);
        if (type == Object.class || type == value.getClass()) return value;
        if (type == Optional.class) return Optional.ofNullable(convert(arguments[0], value));
        if (type.isArray()) return array(type.getComponentType(), value);
        Object simple = simple(type, value);
        if (simple != null) return simple;
        if (Map.class.isAssignableFrom(type) && value instanceof Map) return map(type, arguments, (Map<?, ?>) value);
        if (Collection.class.isAssignableFrom(type)) return collection(type, arguments, value);
        if (value instanceof Map) return bean(type, arguments, (Map<?, ?>) value);
        // An empty string is no object: https://github.com/aws/aws-lambda-java-libs, JacksonFactory's settings.
        if ("".equals(value)) return null;
        return parsed(type, value);
    }

    private static Object nothing(Class<?> type) {
        if (!type.isPrimitive() || type == void.class) return null;
        return Array.get(Array.newInstance(type, 1), 0);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object simple(Class<?> type, Object value) {
        if (type == String.class || type == CharSequence.class) {
            if (value instanceof Map || value instanceof List) {
                throw new IllegalArgumentException("Cannot deserialize value of type `java.lang.String` from "
                    + (value instanceof Map ? "Object value (token `JsonToken.START_OBJECT`)" : "Array value (token `JsonToken.START_ARRAY`)"));
            }
            return value.toString();
        }
        if (type == boolean.class || type == Boolean.class) return Boolean.valueOf(value.toString());
        if (type == char.class || type == Character.class) return value.toString().charAt(0);
        if (type.isEnum()) {
            for (Object constant : type.getEnumConstants()) {
                if (((Enum) constant).name().equals(value) || constant.toString().equals(value)) return constant;
            }
            return null;
        }
        if (type == ByteBuffer.class) return ByteBuffer.wrap(Base64.getDecoder().decode(value.toString()));
        if (type == Date.class) return new Date(milliseconds(value));
        return number(type, value);
    }

    private static Object number(Class<?> type, Object value) {
        boolean wanted = type.isPrimitive() || Number.class.isAssignableFrom(type);
        if (!wanted || value instanceof Map || value instanceof List) return null;
        BigDecimal number = new BigDecimal(value.toString());
        if (type == int.class || type == Integer.class) return number.intValue();
        if (type == long.class || type == Long.class) return number.longValue();
        if (type == double.class || type == Double.class) return number.doubleValue();
        if (type == float.class || type == Float.class) return number.floatValue();
        if (type == short.class || type == Short.class) return number.shortValue();
        if (type == byte.class || type == Byte.class) return number.byteValue();
        if (type == BigInteger.class) return number.toBigInteger();
        return number;
    }

    /** Events tell times in seconds (with fractions), in milliseconds, or as text. */
    private static long milliseconds(Object value) {
        if (!(value instanceof Number)) return java.time.OffsetDateTime.parse(value.toString()).toInstant().toEpochMilli();
        double number = ((Number) value).doubleValue();
        return (long) (number < 1e11 ? number * 1000 : number);
    }

    private Object array(Type of, Object value) {
        if (of == byte.class && value instanceof String) return Base64.getDecoder().decode((String) value);
        List<?> items = value instanceof List ? (List<?>) value : java.util.Collections.singletonList(value);
        Class<?> raw = of instanceof Class ? (Class<?>) of : Object.class;
        Object array = Array.newInstance(raw, items.size());
        for (int at = 0; at < items.size(); at++) Array.set(array, at, convert(of, items.get(at)));
        return array;
    }

    @SuppressWarnings("unchecked")
    private Object map(Class<?> type, Type[] arguments, Map<?, ?> value) {
        Type key = arguments.length == 2 ? arguments[0] : Object.class;
        Type item = arguments.length == 2 ? arguments[1] : Object.class;
        Map<Object, Object> map = (Map<Object, Object>) make(type, type.isAssignableFrom(TreeMap.class)
            && !type.isAssignableFrom(LinkedHashMap.class) ? TreeMap.class : LinkedHashMap.class);
        value.forEach((name, content) -> map.put(convert(key, name), convert(item, content)));
        return map;
    }

    @SuppressWarnings("unchecked")
    private Object collection(Class<?> type, Type[] arguments, Object value) {
        Type item = arguments.length == 1 ? arguments[0] : Object.class;
        Collection<Object> all = (Collection<Object>) make(type, Set.class.isAssignableFrom(type) ? LinkedHashSet.class : ArrayList.class);
        List<?> items = value instanceof List ? (List<?>) value : java.util.Collections.singletonList(value);
        for (Object content : items) all.add(convert(item, content));
        return all;
    }

    private static Object make(Class<?> type, Class<?> instead) {
        return create(type.isInterface() || Modifier.isAbstract(type.getModifiers()) ? instead : type);
    }

    private static Object create(Class<?> type) {
        try {
            java.lang.reflect.Constructor<?> constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (NoSuchMethodException error) {
            throw new IllegalArgumentException("Cannot construct instance of `" + type.getName()
                + "` (no Creators, like default constructor, exist): cannot deserialize from Object value (no delegate- or property-based Creator)");
        } catch (InvocationTargetException error) {
            throw new IllegalArgumentException(error.getCause());
        } catch (ReflectiveOperationException error) {
            throw new IllegalArgumentException(error);
        }
    }

    private Object bean(Class<?> type, Type[] arguments, Map<?, ?> value) {
        TypeVariable<?>[] variables = type.getTypeParameters();
        Map<TypeVariable<?>, Type> inside = new HashMap<>(bound);
        for (int at = 0; at < variables.length && at < arguments.length; at++) inside.put(variables[at], arguments[at]);
        Pojo filler = new Pojo(inside);
        Object bean = hasEmptyConstructor(type) ? create(type) : null;
        if (bean == null) return filler.construct(type, value);
        Map<String, Object> members = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        value.forEach((name, content) -> members.put(name.toString(), content));
        for (Field field : type.getFields()) {
            if (!Modifier.isStatic(field.getModifiers()) && members.containsKey(field.getName())) {
                set(() -> field.set(bean, filler.convert(field.getGenericType(), members.get(field.getName()))));
            }
        }
        for (Method method : setters(type)) {
            String name = method.getName().substring(3);
            if (!members.containsKey(name)) continue;
            method.setAccessible(true);
            set(() -> method.invoke(bean, filler.convert(method.getGenericParameterTypes()[0], members.get(name))));
        }
        return bean;
    }

    /** One per property: the one that takes what its getter gives, as with a string and an enum of the same name. */
    private static Collection<Method> setters(Class<?> type) {
        Map<String, Method> found = new LinkedHashMap<>();
        for (Method method : type.getMethods()) {
            boolean isSetter = method.getName().startsWith("set") && method.getName().length() > 3
                && method.getParameterCount() == 1 && !Modifier.isStatic(method.getModifiers());
            if (!isSetter) continue;
            Method other = found.get(method.getName());
            if (other == null || isGiven(type, method)) found.put(method.getName(), method);
        }
        return found.values();
    }

    private static boolean isGiven(Class<?> type, Method setter) {
        for (String prefix : new String[] {"get", "is"}) {
            try {
                return type.getMethod(prefix + setter.getName().substring(3)).getReturnType() == setter.getParameterTypes()[0];
            } catch (NoSuchMethodException next) {
                continue;
            }
        }
        return setter.getParameterTypes()[0] == String.class;
    }

    private static boolean hasEmptyConstructor(Class<?> type) {
        for (java.lang.reflect.Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (constructor.getParameterCount() == 0) return true;
        }
        return false;
    }

    /** Records, and AWS's classes for S3 events, which have constructors with all members, in the order of their fields. */
    private Object construct(Class<?> type, Map<?, ?> value) {
        Map<String, Object> members = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        value.forEach((name, content) -> members.put(name.toString(), content));
        List<Field> fields = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers())) fields.add(field);
        }
        for (java.lang.reflect.Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (constructor.getParameterCount() != fields.size()) continue;
            Object[] all = new Object[fields.size()];
            Type[] types = constructor.getGenericParameterTypes();
            for (int at = 0; at < all.length; at++) all[at] = convert(types[at], members.get(fields.get(at).getName()));
            constructor.setAccessible(true);
            try {
                return constructor.newInstance(all);
            } catch (ReflectiveOperationException error) {
                throw new IllegalArgumentException(error);
            }
        }
        return create(type);
    }

    /** Joda's DateTime and java.time's types have `parse`. */
    private static Object parsed(Class<?> type, Object value) {
        for (Class<?> parameter : new Class<?>[] {CharSequence.class, String.class}) {
            try {
                return type.getMethod("parse", parameter).invoke(null, value.toString());
            } catch (NoSuchMethodException next) {
                continue;
            } catch (ReflectiveOperationException error) {
                throw new IllegalArgumentException(error);
            }
        }
        throw new IllegalArgumentException("Cannot construct instance of `" + type.getName()
            + "` (although at least one Creator exists): no String-argument constructor/factory method to deserialize from String value ('" + value + "')");
    }

    private interface Setting {
        void run() throws ReflectiveOperationException;
    }

    private static void set(Setting setting) {
        try {
            setting.run();
        } catch (InvocationTargetException error) {
            throw new IllegalArgumentException(error.getCause());
        } catch (ReflectiveOperationException error) {
            throw new IllegalArgumentException(error);
        }
    }

    /** What JSON can hold, of any object. */
    static Object plain(Object value) {
        if (value == null || value instanceof String || value instanceof Number || value instanceof Boolean) return value;
        if (value instanceof Optional) return plain(((Optional<?>) value).orElse(null));
        if (value instanceof Map) {
            Map<String, Object> all = new LinkedHashMap<>();
            ((Map<?, ?>) value).forEach((name, content) -> all.put(String.valueOf(name), plain(content)));
            return all;
        }
        if (value instanceof Iterable) {
            List<Object> all = new ArrayList<>();
            ((Iterable<?>) value).forEach(item -> all.add(plain(item)));
            return all;
        }
        if (value instanceof byte[]) return Base64.getEncoder().encodeToString((byte[]) value);
        if (value instanceof ByteBuffer) {
            ByteBuffer copy = ((ByteBuffer) value).duplicate();
            byte[] bytes = new byte[copy.remaining()];
            copy.get(bytes);
            return Base64.getEncoder().encodeToString(bytes);
        }
        if (value.getClass().isArray()) {
            List<Object> all = new ArrayList<>();
            for (int at = 0; at < Array.getLength(value); at++) all.add(plain(Array.get(value, at)));
            return all;
        }
        if (value instanceof Date) return ((Date) value).getTime();
        if (value instanceof Enum) return ((Enum<?>) value).name();
        if (value instanceof Character || value.getClass().getName().startsWith("java.time.")
            || value.getClass().getName().startsWith("org.joda.time.")) return value.toString();
        return members(value);
    }

    private static Map<String, Object> members(Object bean) {
        Map<String, Object> all = new LinkedHashMap<>();
        for (Field field : bean.getClass().getFields()) {
            if (!Modifier.isStatic(field.getModifiers())) set(() -> put(all, field.getName(), field.get(bean)));
        }
        for (Field field : bean.getClass().getDeclaredFields()) {
            // Keeps the order in which the class declares them.
            if (!Modifier.isStatic(field.getModifiers())) all.putIfAbsent(field.getName(), null);
        }
        for (Method method : bean.getClass().getMethods()) {
            String name = property(method);
            if (name == null) continue;
            method.setAccessible(true);
            set(() -> put(all, name, method.invoke(bean)));
        }
        all.values().removeIf(content -> content == null);
        return all;
    }

    private static void put(Map<String, Object> all, String name, Object value) {
        all.put(name, plain(value));
    }

    /** `getName` and `isName` tell of `name`; a record's accessor of itself. */
    private static String property(Method method) {
        if (method.getParameterCount() > 0 || Modifier.isStatic(method.getModifiers())
            || method.getDeclaringClass() == Object.class || method.getReturnType() == void.class) return null;
        String name = method.getName();
        boolean truth = method.getReturnType() == boolean.class || method.getReturnType() == Boolean.class;
        String rest = name.startsWith("get") ? name.substring(3) : truth && name.startsWith("is") ? name.substring(2) : "";
        if (!rest.isEmpty()) return decapitalised(rest);
        Class<?> parent = method.getDeclaringClass().getSuperclass();
        return parent != null && parent.getName().equals("java.lang.Record") && isField(method) ? name : null;
    }

    private static boolean isField(Method method) {
        try {
            return method.getDeclaringClass().getDeclaredField(method.getName()) != null;
        } catch (NoSuchFieldException no) {
            return false;
        }
    }

    /** As beans are named: `URL` stays, `Name` becomes `name`. */
    private static String decapitalised(String name) {
        boolean acronym = name.length() > 1 && Character.isUpperCase(name.charAt(0)) && Character.isUpperCase(name.charAt(1));
        return acronym ? name : Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }
}
