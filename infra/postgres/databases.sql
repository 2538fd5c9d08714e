-- One database for each program; the catalogue uses the default one.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
