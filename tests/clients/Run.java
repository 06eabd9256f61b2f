import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;

/** Opens a connection by the settings compiled in with it; prints who is logged in, and the cipher. */
final class Run {
    public static void main(String[] arguments) throws Exception {
        try (Connection connection = Database.open(); Statement statement = connection.createStatement()) {
            ResultSet user = statement.executeQuery("SELECT CURRENT_USER()");
            user.next();
            String name = user.getString(1);
            ResultSet cipher = statement.executeQuery("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
            cipher.next();
            System.out.println(name + " " + cipher.getString(2));
        }
    }
}
