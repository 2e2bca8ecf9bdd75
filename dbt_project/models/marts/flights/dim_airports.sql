with

airports as (

    select * from {{ ref('int_airports') }}

)

select * from airports
