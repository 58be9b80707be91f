package sereno;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Frames between the server and this process; ../../README.md has the table of kinds. */
final class Frames {
    private static final DataInputStream IN =
        new DataInputStream(new BufferedInputStream(new FileInputStream(descriptor(3)), 65536));
    private static final FileOutputStream OUT = new FileOutputStream(descriptor(4));

    private Frames() {}

    /** Descriptors 0 to 2 are the function's own. */
    private static FileDescriptor descriptor(int number) {
        try {
            FileDescriptor descriptor = new FileDescriptor();
            Field field = FileDescriptor.class.getDeclaredField("fd");
            field.setAccessible(true);
            field.setInt(descriptor, number);
            return descriptor;
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    /** The body of the next frame, of which one kind only can come. Ends the process when the server is gone. */
    static ByteBuffer receive() throws IOException {
        try {
            int length = Integer.reverseBytes(IN.readInt()) - 1;
            IN.readByte();
            byte[] body = new byte[length];
            IN.readFully(body);
            return ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        } catch (EOFException gone) {
            Runtime.getRuntime().halt(0);
            throw gone;
        }
    }

    static synchronized void send(char kind, byte[] body, int length) {
        ByteBuffer frame = ByteBuffer.allocate(5 + length).order(ByteOrder.LITTLE_ENDIAN);
        frame.putInt(1 + length).put((byte) kind).put(body, 0, length);
        write(frame);
    }

    static void send(char kind, String text) {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        send(kind, body, body.length);
    }

    /** A record of the log: `level` 0 is none. */
    static synchronized void log(int level, String text) {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        ByteBuffer frame = ByteBuffer.allocate(14 + body.length).order(ByteOrder.LITTLE_ENDIAN);
        frame.putInt(10 + body.length).put((byte) 'L');
        frame.putLong(System.currentTimeMillis()).put((byte) level).put(body);
        write(frame);
    }

    private static void write(ByteBuffer frame) {
        try {
            OUT.write(frame.array());
        } catch (IOException gone) {
            Runtime.getRuntime().halt(0);
        }
    }

    /** Standard output and error, in order among the log's records. */
    static final class Printed extends OutputStream {
        @Override
        public void write(int single) {
            write(new byte[] {(byte) single}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int from, int length) {
            byte[] part = new byte[length];
            System.arraycopy(bytes, from, part, 0, length);
            send('T', part, length);
        }
    }
}
