"""What is wrong with what a person wrote: in which file and line, against which schema, said in words, all
at once. Knows YAML and JSON Schema, and nothing of contracts or restores.
"""
