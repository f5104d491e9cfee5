"""Real telephones, carriers and bad weather for the tests. Nothing of the product is imported here."""
