import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import com.sun.management.HotSpotDiagnosticMXBean;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisPool;
import redis.clients.jedis.JedisPubSub;

/**
 * What matters here of a service of Spinnaker's: its pool of connections is made as Gate makes it, of the property
 * redis.connection and otherwise of the base URL; and it asks others by HTTPS, with what its JVM trusts.
 */
public final class Service {
    private static final int TIMEOUT = 5000; // milliseconds
    private static final String IMAGE = "/etc/ssl/certs/java/cacerts";

    public static void main(String[] words) {
        try {
            System.out.println(answer(List.of(words)));
        } catch (Exception error) {
            for (Throwable each = error; each != null; each = each.getCause()) {
                System.out.println(each);
            }
            System.exit(1);
        }
    }

    private static String answer(List<String> words) throws Exception {
        switch (words.get(0)) {
            case "serve":
                return serve(words.get(1));
            case "try":
                try (JedisPool pool = pool(words.get(1))) {
                    return readBack(pool);
                }
            case "events":
                return expired(words.get(1));
            case "get":
                return get(words.get(1));
            case "trusted":
                return trusted();
            case "heap":
                return "MaxRAMPercentage " + ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                        .getVMOption("MaxRAMPercentage").getValue();
            default:
                throw new IllegalArgumentException(words.get(0));
        }
    }

    private static JedisPool pool(String baseUrl) throws Exception {
        return new JedisPool(new URI(System.getProperty("redis.connection", baseUrl)), TIMEOUT);
    }

    private static String readBack(JedisPool pool) {
        String key = "service:" + UUID.randomUUID();
        String value = UUID.randomUUID().toString();
        try (Jedis jedis = pool.getResource()) {
            jedis.psetex(key, TIMEOUT, value);
            if (!value.equals(jedis.get(key))) {
                throw new IllegalStateException("read something else than was written");
            }
        }
        return "read back what was written";
    }

    /** Reads and writes until it cannot; once it could, there is a file that says so. */
    private static String serve(String baseUrl) throws Exception {
        try (JedisPool pool = pool(baseUrl)) {
            while (true) {
                readBack(pool);
                Files.writeString(Path.of("/tmp/served"), "");
                Thread.sleep(1000);
            }
        }
    }

    /** Waits to be told of a key that ends, as Gate does for its sessions. */
    private static String expired(String baseUrl) throws Exception {
        StringBuilder told = new StringBuilder();
        String key = "session:" + UUID.randomUUID();
        try (JedisPool pool = pool(baseUrl); Jedis jedis = pool.getResource()) {
            jedis.psubscribe(new JedisPubSub() {
                @Override
                public void onPSubscribe(String pattern, int channels) {
                    try (Jedis other = pool.getResource()) {
                        other.psetex(key, 100, "one");
                    }
                }

                @Override
                public void onPMessage(String pattern, String channel, String message) {
                    if (message.equals(key)) {
                        told.append(channel);
                        punsubscribe();
                    }
                }
            }, "__keyevent@*:expired");
        }
        return told.toString();
    }

    private static String get(String url) throws IOException {
        HttpsURLConnection connection = (HttpsURLConnection) URI.create(url).toURL().openConnection();
        connection.setConnectTimeout(TIMEOUT);
        connection.setReadTimeout(TIMEOUT);
        return "status " + connection.getResponseCode();
    }

    /** How many authorities the JVM trusts, and how many of those that the image has are not among them. */
    private static String trusted() throws Exception {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((KeyStore) null);
        Set<X509Certificate> mine = new HashSet<>();
        for (TrustManager each : factory.getTrustManagers()) {
            Collections.addAll(mine, ((X509TrustManager) each).getAcceptedIssuers());
        }
        KeyStore image = KeyStore.getInstance(Path.of(IMAGE).toFile(), (char[]) null);
        int missing = 0;
        for (String alias : Collections.list(image.aliases())) {
            missing += mine.contains(image.getCertificate(alias)) ? 0 : 1;
        }
        return mine.size() + " trusted, " + missing + " of the image's " + image.size() + " missing";
    }
}
