package sereno;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, numbers, booleans and null. */
final class Json {
    private static final int DEPTH_MAX = 1000;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.skip();
        if (json.at < text.length()) throw json.wrong("Unexpected character");
        return value;
    }

    private RuntimeException wrong(String what) {
        return new IllegalArgumentException(what + " at position " + at + " of the JSON document");
    }

    private void skip() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) at++;
    }

    private char peek() {
        skip();
        if (at >= text.length()) throw wrong("Unexpected end");
        return text.charAt(at);
    }

    private void take(char expected) {
        if (peek() != expected) throw wrong("Expected '" + expected + "'");
        at++;
    }

    private Object value() {
        if (++depth > DEPTH_MAX) throw wrong("Too deeply nested");
        char first = peek();
        Object value;
        if (first == '{') value = object();
        else if (first == '[') value = array();
        else if (first == '"') value = string();
        else if (first == '-' || Character.isDigit(first)) value = number();
        else value = word();
        depth--;
        return value;
    }

    private Map<String, Object> object() {
        Map<String, Object> object = new LinkedHashMap<>();
        take('{');
        if (peek() == '}') {
            at++;
            return object;
        }
        while (true) {
            if (peek() != '"') throw wrong("Expected a name");
            String name = string();
            take(':');
            object.put(name, value());
            if (peek() == '}') break;
            take(',');
        }
        at++;
        return object;
    }

    private List<Object> array() {
        List<Object> array = new ArrayList<>();
        take('[');
        if (peek() == ']') {
            at++;
            return array;
        }
        while (true) {
            array.add(value());
            if (peek() == ']') break;
            take(',');
        }
        at++;
        return array;
    }

    private String string() {
        at++;
        int from = at;
        while (at < text.length() && text.charAt(at) != '"' && text.charAt(at) != '\\') at++;
        if (at < text.length() && text.charAt(at) == '"') return text.substring(from, at++);
        StringBuilder built = new StringBuilder(text.substring(from, at));
        while (true) {
            if (at >= text.length()) throw wrong("Unexpected end");
            char next = text.charAt(at++);
            if (next == '"') return built.toString();
            built.append(next == '\\' ? escaped() : next);
        }
    }

    private char escaped() {
        if (at >= text.length()) throw wrong("Unexpected end");
        char next = text.charAt(at++);
        switch (next) {
            case 'n': return '\n';
            case 't': return '\t';
            case 'r': return '\r';
            case 'b': return '\b';
            case 'f': return '\f';
            case 'u':
                if (at + 4 > text.length()) throw wrong("Unexpected end");
                at += 4;
                return (char) Integer.parseInt(text.substring(at - 4, at), 16);
            default: return next;
        }
    }

    private Object number() {
        int from = at;
        boolean whole = true;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            whole &= ".eE".indexOf(text.charAt(at++)) < 0;
        }
        String digits = text.substring(from, at);
        if (!whole) return Double.valueOf(digits);
        if (digits.length() < 10) return Integer.valueOf(digits);
        if (digits.length() < 19) {
            long number = Long.parseLong(digits);
            if (number == (int) number) return (int) number;
            return number;
        }
        return new BigInteger(digits);
    }

    private Object word() {
        for (String word : new String[] {"true", "false", "null"}) {
            if (text.startsWith(word, at)) {
                at += word.length();
                return word.equals("null") ? null : Boolean.valueOf(word);
            }
        }
        throw wrong("Unrecognized token");
    }

    /** Of what {@link Pojo#plain} answers. */
    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof Map) {
            String separator = "{";
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(separator);
                quote(String.valueOf(entry.getKey()), out);
                write(entry.getValue(), out.append(':'));
                separator = ",";
            }
            out.append(separator.equals("{") ? "{}" : "}");
        } else if (value instanceof Iterable) {
            String separator = "[";
            for (Object item : (Iterable<?>) value) {
                write(item, out.append(separator));
                separator = ",";
            }
            out.append(separator.equals("[") ? "[]" : "]");
        } else if (isPlain(value)) {
            out.append(value);
        } else {
            quote(value.toString(), out);
        }
    }

    private static boolean isPlain(Object value) {
        if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            return !Double.isNaN(number) && !Double.isInfinite(number);
        }
        return value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long
            || value instanceof Short || value instanceof Byte || value instanceof BigInteger || value instanceof BigDecimal;
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int at = 0; at < text.length(); at++) {
            char next = text.charAt(at);
            if (next == '"' || next == '\\') out.append('\\').append(next);
            else if (next == '\n') out.append("\\n");
            else if (next == '\r') out.append("\\r");
            else if (next == '\t') out.append("\\t");
            else if (next < 0x20) out.append(String.format("\\u%04x", (int) next));
            else out.append(next);
        }
        out.append('"');
    }
}
