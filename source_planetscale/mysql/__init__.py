"""What vtgate's MySQL protocol tells: tables, shards and positions, and what its errors mean."""
