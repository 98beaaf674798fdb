import java.io.BufferedInputStream;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.HexFormat;

import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveInputStream;

/** Reads a zip from standard input with Apache commons-compress, and prints the SHA-256, the size and the name (hex) of each entry. */
class ReadZipWithCommonsCompress {
  public static void main(String[] arguments) throws Exception {
    ZipArchiveInputStream zip = new ZipArchiveInputStream(new BufferedInputStream(System.in, 1 << 20));
    byte[] buffer = new byte[1 << 16];
    for (ZipArchiveEntry entry; (entry = zip.getNextZipEntry()) != null; ) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      long size = 0;
      for (int read; (read = zip.read(buffer)) > 0; size += read) digest.update(buffer, 0, read);
      HexFormat hex = HexFormat.of();
      System.out.println(hex.formatHex(digest.digest()) + " " + size + " " + hex.formatHex(entry.getName().getBytes("UTF-8")));
    }
  }
}
